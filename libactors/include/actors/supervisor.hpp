#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <caf/actor.hpp>
#include <caf/behavior.hpp>
#include <caf/error.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/response_promise.hpp>
#include <caf/stateful_actor.hpp>

#include "actors/amqp/transport.hpp"
#include "actors/backoff.hpp"
#include "actors/config.hpp"
#include "actors/ledger.hpp"
#include "actors/messages.hpp"
#include "actors/outbox.hpp"

namespace actors {

struct supervisor_settings {
  actors::config config;
  connection_starter start_connection;
  /// Grows with each start: `amqp::stream_position::epoch`, and the seed of the
  /// back-off's jitter.
  std::uint64_t epoch = 0;
  /// What an earlier event center could not send: goes ahead of all else.
  std::vector<amqp::publication> unsent;
};

/// One of the two links, over all its connections:
///
///             connect_atom                 link_up
///     down ------------------> connecting ---------> up
///       ^                          |                  |
///       +--- the connection ends --+------------------+
///            (back-off, connect_atom)
struct supervised_link {
  explicit supervised_link(link_role role) : role(role) {
    // nop
  }

  link_role role;
  caf::actor connection;
  /// Of the connection, once it is up.
  amqp::outlet_ptr out;
  bool up = false;
  /// The present life of the connection's channel `publishing`.
  std::uint32_t incarnation = 1;
  /// Of each endpoint by itself: that one fails says nothing about the next.
  struct attempts {
    backoff retry;
    std::chrono::steady_clock::time_point not_before;
  };

  std::vector<attempts> endpoints;
  /// Which endpoint it is, or will be.
  std::size_t endpoint = 0;
  std::chrono::steady_clock::time_point since;
  /// Empty: not blocked.
  std::string blocked;
  std::string broker;
  failure last_failure;
  std::uint64_t connects = 0;
  std::uint64_t losses = 0;
  bool retry_scheduled = false;
  ledger topology;
};

/// The supervisor's state; see `supervisor`.
class supervisor_state {
public:
  explicit supervisor_state(caf::event_based_actor* self);

  static inline const char* name = "supervisor";

  void init(supervisor_settings settings);

  // -- links ------------------------------------------------------------------------

  void start(caf::actor dispatcher);
  void connect(link_role role);
  void renew(link_role role);
  void on_up(const link_up& x);
  void on_exit(const caf::actor_addr& source, const caf::error& reason);
  void on_blocked(const link_blocked& x);
  void on_unblocked(const link_unblocked& x);
  void on_reply(const link_reply& x);
  void on_channel_lost(const channel_lost& x);
  void on_consumer_gone(amqp::consumer_id id);
  void on_retry(link_role role);
  void on_verify();

  // -- consumers --------------------------------------------------------------------

  void want(wanted_consumer x);
  void unwant(amqp::consumer_id id);
  void unwant(amqp::consumer_id id, const amqp::binding& what);

  // -- publishing -------------------------------------------------------------------

  caf::result<published> publish(amqp::publication x);
  void on_confirmations(const confirmations& x);
  void on_returned(const amqp::returned_message& x);
  void on_unconfirmed();
  void flush();

  // -- end --------------------------------------------------------------------------

  enum class stop_stage : std::uint8_t { none, draining, closing };

  caf::result<stopped> stop(std::chrono::milliseconds limit);
  void on_deadline(stop_stage stage);
  void on_heartbeat();

  supervisor_status status() const;

private:
  static constexpr auto first_rejections_limit = std::chrono::milliseconds{2'000};

  supervised_link& link(link_role role) noexcept {
    return role == link_role::consuming ? consuming_ : publishing_;
  }

  const amqp::endpoint& endpoint_of(const supervised_link& x) const;
  /// Whether a link that is down is to be connected again.
  bool keeps(const supervised_link& x) const noexcept;
  void choose_endpoint(supervised_link& x) const;
  static std::chrono::milliseconds next_delay(backoff& retry, ec reason);
  void schedule_connect(supervised_link& x, ec reason);
  void follow(supervised_link& x);
  void schedule_retry(supervised_link& x);
  void schedule_verify(std::chrono::milliseconds delay);
  void send_first(std::vector<amqp::publication> unsent);
  void stamp(amqp::publication& x);
  void schedule_flush();
  caf::error refusal(const amqp::publication& x) const;
  void answer(std::uint64_t id, failure reason);
  void answer_dropped(const std::vector<outbox::dropped>& xs);
  void refuse_publishing(const failure& reason);
  void doubt_publishing();
  void watch_confirms();
  void close(supervised_link& x);
  void continue_stop();
  void end_stage();

  caf::event_based_actor* self_;
  actors::config config_;
  connection_starter start_connection_;
  std::uint64_t epoch_ = 0;
  caf::actor dispatcher_;
  supervised_link consuming_;
  supervised_link publishing_;
  outbox outbox_;
  outbox_status counters_;
  bool verify_scheduled_ = false;
  std::uint64_t last_publication_ = 0;
  std::uint64_t heartbeats_ = 0;
  /// The last sequence number by exchange and routing key.
  std::unordered_map<std::string, std::unordered_map<std::string, std::uint64_t>> sequences_;
  /// Who waits for the answer to a publication, and the message id to answer.
  struct waiting_publisher {
    caf::response_promise promise;
    std::string message_id;
    bool returned = false;
  };
  std::unordered_map<std::uint64_t, waiting_publisher> publishers_;
  /// Since when the broker has rejected all messages.
  std::optional<std::chrono::steady_clock::time_point> rejecting_since_;
  /// How long it may, until another link is tried.
  std::chrono::milliseconds rejections_limit_ = first_rejections_limit;
  /// The publication that was the oldest on the wire at the last look, 0 for none.
  std::uint64_t oldest_unconfirmed_ = 0;
  bool watching_confirms_ = false;
  bool flush_scheduled_ = false;
  /// Drops since the last line about them.
  std::uint64_t unlogged_drops_ = 0;
  stop_stage stopping_ = stop_stage::none;
  caf::response_promise stop_promise_;
};

/// Owns the wanted topology, the outbox and the two links of an event center.
/// It connects, replays the topology after every reconnect, and sends what the
/// broker has not confirmed again, in order, ahead of newer messages.
///
/// | message | answer |
/// | --- | --- |
/// | start_atom, dispatcher | nothing; connects |
/// | wanted_consumer | later `consumer_state` to the dispatcher |
/// | unwant_atom, consumer id [, binding] | nothing |
/// | publish_atom, publication | `published`, or an error |
/// | status_atom | `supervisor_status` |
/// | stop_atom, limit | `stopped`, when the links are closed |
/// | link_up, link_reply, ... | from its connections |
caf::behavior supervisor(caf::stateful_actor<supervisor_state>* self, supervisor_settings settings);

} // namespace actors
