#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "actors/policies.hpp"
#include "actors/status.hpp"
#include "amqp/transport.hpp"
#include "runtime/log_line.hpp"
#include "topology/endpoint_memory.hpp"
#include "topology/stop_sequence.hpp"
#include "topology/supervised_link.hpp"
#include "topology/topology_state.hpp"

namespace actors {

/// The links of an event center with the topology wanted by each: when and where each link
/// connects, which requests go by which link, and what follows from a link's end. A plain value
/// that sends nothing: events go in, orders come out.
///
/// The link apart exists while something needs it: requests for which the broker has ended a
/// connection (known to `topology_state`), or publications (`publication_tracker`).
class link_set {
public:
  using time_point = std::chrono::steady_clock::time_point;

  struct settings {
    std::vector<amqp::endpoint> endpoints;
    backoff_policy reconnect;
    /// The name of the connections, unless their endpoint has one.
    std::string server_id;
    /// 0: never.
    std::chrono::milliseconds verify_interval{0};
    /// The seed of the jitter.
    std::uint64_t seed = 0;
  };

  explicit link_set(settings options);

  // -- what follows, in order ------------------------------------------------------------

  /// Connects a link, unless `on_not_connected` follows.
  struct connect_link {
    link_role role = link_role::consuming;
    amqp::endpoint where;
  };

  /// Ends a connection: in good order, if the broker is expected to answer.
  struct close_link {
    link_role role = link_role::consuming;
    bool in_order = true;
  };

  struct ask {
    link_role by = link_role::consuming;
    amqp::request_id id = 0;
    amqp::operation op;
  };

  /// These consumers are gone with their link or channel; the dispatcher is told.
  struct lost_consumers {
    failure reason;
    std::vector<amqp::consumer_id> consumers;
  };

  /// Asks for a later call of `connect`, `on_retry`, `on_release`, `on_verify` or `on_deadline`.
  struct wake {
    enum class reason : std::uint8_t { connect, retry, release, verify, closing };

    reason why = reason::connect;
    std::chrono::milliseconds after{0};
    link_role role = link_role::consuming;
  };

  /// A link is in another state; the watchers of links are told.
  struct link_changed {
    link_status now;
  };

  using order = std::variant<log_line, connect_link, close_link, ask, lost_consumers,
                             consumer_state, wake, link_changed>;

  /// The caller carries out the orders and removes them.
  std::vector<order> orders;

  /// Whether the need for the link apart may have changed since the last call: `tend_apart` is to
  /// be called.
  bool take_apart_changed() noexcept {
    return std::exchange(apart_changed_, false);
  }

  /// Whether answers about the exchanges for publications may have come since the last call.
  bool take_exchanges_changed() noexcept {
    return std::exchange(exchanges_changed_, false);
  }

  // -- the life of a link ------------------------------------------------------------------

  /// Sets the time for the calls that follow.
  void at(time_point now) noexcept {
    now_ = now;
  }

  /// Connects a link, if it is to exist. `apart_is_needed`: publications need the link apart.
  void connect(link_role role, bool apart_is_needed);

  void on_up(link_role role, std::string broker, amqp::link_sender_ptr out);

  /// A connection's end, for `reconnect` to decide on the next connection.
  struct link_end {
    link_role role = link_role::consuming;
    failure reason;
    bool was_up = false;
    bool was_idle = false;
    /// The culprit of the end is known.
    bool is_explained = false;
    /// The next connection need not wait.
    bool at_once = false;
  };

  /// A connection has ended. Without a reason, it has ended in good order.
  link_end on_down(link_role role, const failure& reason);

  /// Returns whether the link is to be connected again.
  bool reconnect(const link_end& end, bool apart_is_needed);

  /// A connection could not be started.
  void on_not_connected(link_role role);

  /// Renews the connections of all links.
  void renew_all(bool apart_is_needed);

  void on_blocked(link_role role, std::string_view reason);
  void on_unblocked(link_role role);

  void close(link_role role);
  /// Ends a link whose broker is not expected to answer.
  void abandon(link_role role);

  /// Connects or closes the link apart, as the present need demands.
  void tend_apart(bool is_needed_for_publications);
  /// Closes the link apart; it is connected anew if it is still needed.
  void renew_apart();

  // -- what a link finds out ----------------------------------------------------------------

  void on_suspects(link_role role, std::vector<amqp::request_id> requests);
  void on_learned(link_role role, const amqp::broker_limits& limits);
  void on_reply(const amqp::reply& reply);
  /// Logs the loss at once; `follow_channel_lost` does the rest for a channel of publications.
  void on_channel_lost(link_role role, const amqp::closed_channel& lost);
  void follow_channel_lost(link_role role);
  void on_consumer_gone(amqp::consumer_id id);

  // -- what is wanted -------------------------------------------------------------------------

  /// Wants an exchange before any link is connected: `want_from_start` takes one of the config,
  /// `want_for_former` one of a former run's messages.
  void want_from_start(const amqp::exchange& exchange);
  void want_for_former(amqp::exchange exchange);

  void want_for_publications(amqp::exchange exchange);
  void want(wanted_consumer wanted);
  void unwant(amqp::consumer_id id);
  void unwant(amqp::consumer_id id, const amqp::binding& binding);

  /// An exchange is gone, and bindings with it: all exchanges and bindings are declared again.
  void redeclare_exchanges();
  void on_queue_missing(std::string_view name);

  void on_retry(link_role role);
  void on_release(link_role role);
  void on_verify();

  // -- the end ------------------------------------------------------------------------------

  const stop_sequence& stopping() const noexcept {
    return stopping_;
  }

  /// Returns whether this call begins the stop.
  bool stop();

  /// Waiting publications may be gone, or a link. Returns whether the stop is over.
  bool continue_stop(bool drained);
  bool on_deadline(stop_stage of, bool drained);

  // -- inspection -----------------------------------------------------------------------------

  const supervised_link& link(link_role role) const noexcept;

  /// The exchanges that publications need.
  const topology_state& exchanges() const noexcept {
    return publishing_.topology;
  }

  std::size_t running_consumers() const noexcept {
    return consuming_.topology.running();
  }

  /// Whether consumers or entities need the link apart.
  bool apart_is_asked() const;

  /// Whether the end of a link shows that no link apart is possible: the broker allows no more
  /// connections.
  bool lacks_apart(const link_end& end) const;

  link_status status(link_role role) const;

  /// Returns the state of each link; the link apart is listed only if it ever existed.
  std::vector<link_status> status() const;

  /// Adds the links and the refused entities to a status.
  void tell(supervisor_status& to) const;

private:
  supervised_link& state_of(link_role role) noexcept;
  asking_link& asking(link_role role) noexcept;
  std::array<asking_link*, 2> asking_links() noexcept {
    return {&consuming_, &publishing_};
  }

  const amqp::endpoint& endpoint_of(const supervised_link& link) const;
  endpoint_memory& memory_of(const supervised_link& link);
  /// Whether a link that is down is to be connected again.
  bool keeps(link_role role, bool apart_is_needed) const;
  bool is_closed() const noexcept;
  bool follow_stop(stop_sequence::step step, bool drained);
  void close(supervised_link& link, bool in_order);
  void meet_broker(supervised_link& link);
  void log_end(const supervised_link& link, const link_end& end);
  /// Tells the topologies and the dispatcher of a link's end. Returns whether the culprit is known.
  bool tell_down(supervised_link& link, const failure& reason);
  /// Carries out the decisions of a link's topology.
  void follow(asking_link& asker);
  void pass_on(const asking_link& asker, topology_state::request request);
  void schedule_connect(const supervised_link& link, std::chrono::milliseconds delay);
  void schedule_retry(asking_link& asker);
  void schedule_release(asking_link& asker);
  void schedule_verify(std::chrono::milliseconds delay);

  settings settings_;
  time_point now_;
  asking_link consuming_;
  asking_link publishing_;
  supervised_link apart_;
  /// One memory for each endpoint.
  std::vector<endpoint_memory> memories_;
  stop_sequence stopping_;
  bool verify_scheduled_ = false;
  bool apart_changed_ = false;
  bool exchanges_changed_ = false;
};

} // namespace actors
