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

/// The links of an event center with what is wanted by them: when each is connected and where
/// to, what is asked for by which of them, and what follows from their ends. A plain value that
/// sends nothing: events go in, orders come out.
///
/// The link apart stands while something needs it: requests for which the broker has ended a
/// connection, which the ledgers know, or publications (`publication_tracker`).
class link_set {
public:
  using time_point = std::chrono::steady_clock::time_point;

  struct settings {
    std::vector<amqp::endpoint> endpoints;
    backoff_policy reconnect;
    /// What our connections are called, unless their endpoint says so.
    std::string server_id;
    /// 0: never.
    std::chrono::milliseconds verify_interval{0};
    /// Of the jitter.
    std::uint64_t seed = 0;
  };

  explicit link_set(settings x);

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

  /// These are gone with their link or channel: for the dispatcher.
  struct lost_consumers {
    failure reason;
    std::vector<amqp::consumer_id> consumers;
  };

  /// `connect`, `on_retry`, `on_release`, `on_verify` or `on_deadline` is to be called.
  struct wake {
    enum class reason : std::uint8_t { connect, retry, release, verify, closing };

    reason why = reason::connect;
    std::chrono::milliseconds after{0};
    link_role role = link_role::consuming;
  };

  /// A link is in another state: for whoever watches links.
  struct link_changed {
    link_role role = link_role::consuming;
  };

  using order = std::variant<log_line, connect_link, close_link, ask, lost_consumers,
                             consumer_state, wake, link_changed>;

  /// Whoever calls carries them out, and removes them.
  std::vector<order> orders;

  /// Whether the link apart may be needed since the last call, or no longer: `tend_apart` is to
  /// be called.
  bool take_apart_changed() noexcept {
    return std::exchange(apart_changed_, false);
  }

  /// Whether answers about the exchanges for publications may have come since the last call.
  bool take_exchanges_changed() noexcept {
    return std::exchange(exchanges_changed_, false);
  }

  // -- the life of a link ------------------------------------------------------------------

  /// The time of what happens next.
  void at(time_point now) noexcept {
    now_ = now;
  }

  /// Connects a link, if there is to be one. `apart_is_needed`: by publications.
  void connect(link_role role, bool apart_is_needed);

  void on_up(link_role role, std::string broker, amqp::link_sender_ptr out);

  /// What ended, and what is to be said before the next connection: `reconnect`.
  struct link_end {
    link_role role = link_role::consuming;
    failure reason;
    bool was_up = false;
    bool was_idle = false;
    /// It is known what it is laid to.
    bool is_explained = false;
    /// The next connection need not wait.
    bool at_once = false;
  };

  /// A connection has ended, in good order without a reason.
  link_end on_down(link_role role, const failure& reason);

  /// Gives back whether the link is to be connected again.
  bool reconnect(const link_end& x, bool apart_is_needed);

  /// A connection could not even be started.
  void on_not_connected(link_role role);

  /// All links are connected anew.
  void renew_all(bool apart_is_needed);

  void on_blocked(link_role role, std::string_view reason);
  void on_unblocked(link_role role);

  void close(link_role role);
  /// The same where the broker is not expected to answer.
  void abandon(link_role role);

  /// Connects the link apart, or closes it, as it is needed now.
  void tend_apart(bool is_needed_for_publications);
  /// It comes up anew, or the broker stands still.
  void renew_apart();

  // -- what a link finds out ----------------------------------------------------------------

  void on_suspects(link_role role, std::vector<amqp::request_id> xs);
  void on_learned(link_role role, const amqp::broker_limits& limits);
  void on_reply(const amqp::reply& x);
  /// It is said at once; what follows for a channel of publications is `follow_channel_lost`.
  void on_channel_lost(link_role role, const amqp::closed_channel& what);
  void follow_channel_lost(link_role role);
  void on_consumer_gone(amqp::consumer_id id);

  // -- what is wanted -------------------------------------------------------------------------

  /// Before anything is connected: an exchange of the config, or of a message of a former run.
  void want_from_start(const amqp::exchange& x);
  void want_for_former(amqp::exchange x);

  void want_for_publications(amqp::exchange x);
  void want(wanted_consumer x);
  void unwant(amqp::consumer_id id);
  void unwant(amqp::consumer_id id, const amqp::binding& what);

  /// An exchange is gone, and with it bindings of ours and of others.
  void redeclare_exchanges();
  void on_queue_missing(std::string_view name);

  void on_retry(link_role role);
  void on_release(link_role role);
  void on_verify();

  // -- the end ------------------------------------------------------------------------------

  const stop_sequence& stopping() const noexcept {
    return stopping_;
  }

  /// Gives back whether it begins.
  bool stop();

  /// What waits to be published may have gone, or a link. Gives back whether that is the end.
  bool continue_stop(bool drained);
  bool on_deadline(stop_stage of, bool drained);

  // -- inspection -----------------------------------------------------------------------------

  const supervised_link& link(link_role role) const noexcept;

  /// What is published stands on these.
  const topology_state& exchanges() const noexcept {
    return publishing_.topology;
  }

  std::size_t running_consumers() const noexcept {
    return consuming_.topology.running();
  }

  /// Whether consumers or entities need the link apart.
  bool apart_is_asked() const;

  /// Whether a link that could not be connected shows that there is none apart: the broker
  /// allows no more of them.
  bool lacks_apart(const link_end& x) const;

  link_status status(link_role role) const;

  /// Of the link apart only if there was one.
  std::vector<link_status> status() const;

  /// Adds the links, and what was refused.
  void tell(supervisor_status& to) const;

private:
  supervised_link& state_of(link_role role) noexcept;
  asking_link& asking(link_role role) noexcept;
  std::array<asking_link*, 2> asking_links() noexcept {
    return {&consuming_, &publishing_};
  }

  const amqp::endpoint& endpoint_of(const supervised_link& x) const;
  endpoint_memory& memory_of(const supervised_link& x);
  /// Whether a link that is down is to be connected again.
  bool keeps(link_role role, bool apart_is_needed) const;
  bool is_closed() const noexcept;
  bool follow_stop(stop_sequence::step step, bool drained);
  void close(supervised_link& x, bool in_order);
  void meet_broker(supervised_link& x);
  void log_end(const supervised_link& x, const link_end& end);
  /// Tells the ledgers, and the dispatcher. Gives back whether they know what it may be about.
  bool tell_down(supervised_link& x, const failure& reason);
  /// Carries out what the topology state decided.
  void follow(asking_link& x);
  void pass_on(const asking_link& x, topology_state::request request);
  void schedule_connect(const supervised_link& x, std::chrono::milliseconds delay);
  void schedule_retry(asking_link& x);
  void schedule_release(asking_link& x);
  void schedule_verify(std::chrono::milliseconds delay);

  settings settings_;
  time_point now_;
  asking_link consuming_;
  asking_link publishing_;
  supervised_link apart_;
  /// Of each endpoint.
  std::vector<endpoint_memory> memories_;
  stop_sequence stopping_;
  bool verify_scheduled_ = false;
  bool apart_changed_ = false;
  bool exchanges_changed_ = false;
};

} // namespace actors
