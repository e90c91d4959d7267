#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include <caf/actor.hpp>
#include <caf/behavior.hpp>
#include <caf/error.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/response_promise.hpp>
#include <caf/stateful_actor.hpp>

#include "actors/config.hpp"
#include "amqp/transport.hpp"
#include "center/messages.hpp"
#include "publishing/publication_tracker.hpp"
#include "publishing/unsent_file.hpp"
#include "topology/link_set.hpp"

namespace actors {

struct supervisor_settings {
  actors::config config;
  connection_starter start_connection;
  /// Grows with each start: `amqp::stream_position::epoch`, and the seed of the
  /// back-off's jitter.
  std::uint64_t epoch = 0;
  /// What an earlier event center could not send: goes ahead of all else.
  std::vector<amqp::publication> unsent;
  /// Where that came from, and where goes what we cannot send; null: nowhere.
  std::shared_ptr<actors::unsent_file> unsent_file;
};

/// The supervisor's state; see `supervisor`. It has the connections and those who wait for an
/// answer, tells two values what happens, and carries out what they order.
class supervisor_state {
public:
  explicit supervisor_state(caf::event_based_actor* self);

  static inline const char* name = "supervisor";

  void init(supervisor_settings settings);

  link_set& links() noexcept {
    return *links_;
  }

  publication_tracker& publications() noexcept {
    return *publications_;
  }

  void tell_time();
  /// Carries out what the values have ordered so far.
  void carry_out();

  void start(caf::actor dispatcher);
  void connect(link_role role);
  void on_exit(const caf::actor_addr& source, const caf::error& reason);
  void on_exception(const std::exception_ptr& what);
  void on_channel_lost(const channel_lost& x);

  caf::result<published> publish(amqp::publication x);
  caf::error refuse(failure reason, const amqp::publication& x);
  void on_confirmations(const confirmations& xs);
  void flush();

  caf::result<stopped> stop(std::chrono::milliseconds limit);
  void continue_stop();
  void on_deadline(stop_stage stage);
  void on_heartbeat();

  /// Tells it how the links are, now and whenever one changes.
  void tell_links(const caf::actor& watcher);
  void on_watcher_down(const caf::actor_addr& who);

  supervisor_status status() const;

private:
  /// Who waits for the answer to a publication, and the message id to answer.
  struct waiting_publisher {
    caf::response_promise promise;
    std::string message_id;
  };

  caf::actor& connection(link_role role) noexcept {
    return connections_[static_cast<std::size_t>(role)];
  }

  void carry_out(const log_line& x);
  void carry_out(link_set::connect_link& x);
  void carry_out(const link_set::close_link& x);
  void carry_out(link_set::ask& x);
  void carry_out(link_set::lost_consumers& x);
  void carry_out(consumer_state& x);
  void carry_out(const link_set::wake& x);
  void carry_out(const link_set::link_changed& x);
  void carry_out(publication_tracker::answer& x);
  void carry_out(publication_tracker::overflow& x);
  void carry_out(publication_tracker::batch& x);
  void carry_out(publication_tracker::redeclare_exchanges);
  void carry_out(publication_tracker::renew_apart);
  void carry_out(const publication_tracker::wake& x);
  std::optional<waiting_publisher> take_publisher(std::uint64_t id);
  void await_answer(const amqp::publication& x);
  void finish_stop();

  caf::event_based_actor* self_;
  connection_starter start_connection_;
  std::chrono::milliseconds heartbeat_interval_{0};
  std::uint64_t heartbeats_ = 0;
  caf::actor dispatcher_;
  /// Of each role.
  std::array<caf::actor, 3> connections_;
  std::optional<link_set> links_;
  std::optional<publication_tracker> publications_;
  std::unordered_map<std::uint64_t, waiting_publisher> publishers_;
  caf::response_promise stop_promise_;
  std::vector<caf::actor> link_watchers_;
};

/// Owns the wanted topology, the outbox and the links of an event center.
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
/// | watch_atom, watcher | nothing; later a `link_status` to it for each link that changes |
/// | stop_atom, limit | `stopped`, when the links are closed |
/// | link_up, link_reply, ... | from its connections |
caf::behavior supervisor(caf::stateful_actor<supervisor_state>* self, supervisor_settings settings);

} // namespace actors
