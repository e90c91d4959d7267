#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <optional>
#include <vector>

#include <caf/actor.hpp>
#include <caf/actor_addr.hpp>
#include <caf/behavior.hpp>
#include <caf/error.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/response_promise.hpp>
#include <caf/result.hpp>
#include <caf/stateful_actor.hpp>

#include "center/link_connections.hpp"
#include "center/messages.hpp"
#include "center/waiting_publishers.hpp"
#include "supervise/door.hpp"
#include "supervise/supervising.hpp"

namespace actors {

struct supervisor_settings : supervising_settings {
  connection_starter start_connection;
};

/// The supervisor's state; see `supervisor`. The decisions are made by `supervising`; this class
/// knows the connections and the publishers that wait.
class supervisor_state : private supervise_door {
public:
  explicit supervisor_state(caf::event_based_actor* self);

  static inline const char* name = "supervisor";

  void init(supervisor_settings settings);

  supervising& work() noexcept {
    return *work_;
  }

  void start(caf::actor dispatcher);
  void on_exit(const caf::actor_addr& source, const caf::error& reason);
  void on_watcher_down(const caf::actor_addr& watcher);
  void on_unasked_error(const caf::error& reason);
  void on_exception(const std::exception_ptr& thrown);

  caf::result<published> publish(amqp::publication message);
  void watch(const caf::actor& watcher);
  void on_heartbeat();
  caf::result<stopped> stop(std::chrono::milliseconds limit);

private:
  std::chrono::steady_clock::time_point now() const override;
  void carry_out(link_set::order& order) override;
  void carry_out(publication_tracker::news_item& news) override;
  void carry_out(const publication_tracker::wake& order) override;
  void admit(const amqp::publication& message) override;
  void end_stop(std::vector<amqp::publication> unsent) override;

  caf::event_based_actor* self_;
  std::chrono::milliseconds heartbeat_interval_{0};
  std::uint64_t heartbeats_ = 0;
  std::optional<link_connections> connections_;
  waiting_publishers publishers_;
  std::optional<supervising> work_;
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
