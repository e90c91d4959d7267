#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <vector>

#include <caf/actor.hpp>
#include <caf/behavior.hpp>
#include <caf/error.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/response_promise.hpp>
#include <caf/stateful_actor.hpp>

#include "actors/config.hpp"
#include "amqp/transport.hpp"
#include "center/link_connections.hpp"
#include "center/messages.hpp"
#include "center/waiting_publishers.hpp"
#include "publishing/publication_tracker.hpp"
#include "publishing/unsent_file.hpp"
#include "topology/link_set.hpp"

namespace actors {

struct supervisor_settings {
  actors::config config;
  connection_starter start_connection;
  /// The epoch grows with each start. It is `amqp::stream_position::epoch`, and the seed of the
  /// back-off's jitter.
  std::uint64_t epoch = 0;
  /// Messages that an earlier event center could not send. They are sent ahead of all others.
  std::vector<amqp::publication> unsent;
  /// The file that `unsent` was read from, and that takes unsent messages at the end; null: none.
  std::shared_ptr<actors::unsent_file> unsent_file;
};

/// The supervisor's state; see `supervisor`. This class tells two values (`link_set`,
/// `publication_tracker`) what happens, and has their orders carried out: by the connections, to
/// the publishers that wait, and by itself.
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

  link_connections& connections() noexcept {
    return *connections_;
  }

  void tell_time();
  /// Carries out what the values have ordered so far.
  void carry_out();

  void start(caf::actor dispatcher);
  void connect(link_role role);
  void on_exit(const caf::actor_addr& source, const caf::error& reason);
  void on_exception(const std::exception_ptr& thrown);
  void on_channel_lost(const channel_lost& lost);

  caf::result<published> publish(amqp::publication message);
  caf::error refuse(failure reason, const amqp::publication& message);
  void on_confirmations(const confirmations& batch);
  void flush();

  caf::result<stopped> stop(std::chrono::milliseconds limit);
  void continue_stop();
  void on_deadline(stop_stage stage);
  void on_heartbeat();

  supervisor_status status() const;

private:
  void carry_out(publication_tracker::batch& order);
  void carry_out(publication_tracker::redeclare_exchanges);
  void carry_out(publication_tracker::renew_apart);
  void carry_out(const publication_tracker::wake& order);
  void carry_out(const link_set::close_link& order);
  void finish_stop();

  caf::event_based_actor* self_;
  std::chrono::milliseconds heartbeat_interval_{0};
  std::uint64_t heartbeats_ = 0;
  std::optional<link_connections> connections_;
  std::optional<link_set> links_;
  std::optional<publication_tracker> publications_;
  waiting_publishers publishers_;
  caf::response_promise stop_promise_;
};

/// This actor owns the wanted topology, the outbox and the links of an event center. It connects,
/// replays the topology after every reconnect, and sends unconfirmed messages again, in order,
/// ahead of newer messages.
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
