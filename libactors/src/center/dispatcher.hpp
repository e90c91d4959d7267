#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <unordered_map>

#include <caf/actor.hpp>
#include <caf/actor_addr.hpp>
#include <caf/behavior.hpp>
#include <caf/error.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/message.hpp>
#include <caf/response_promise.hpp>
#include <caf/result.hpp>
#include <caf/stateful_actor.hpp>

#include "center/known_strategies.hpp"
#include "center/messages.hpp"
#include "dispatch/dispatching.hpp"
#include "dispatch/door.hpp"

namespace actors {

/// The dispatcher's state; see `dispatcher`. The decisions are made by `dispatching`; this class
/// knows the strategies' actors and carries messages to them and to the supervisor.
class dispatcher_state : private dispatch_door {
public:
  explicit dispatcher_state(caf::event_based_actor* self);

  static inline const char* name = "dispatcher";

  void init(const dispatcher_settings& settings, caf::actor supervisor);

  caf::result<subscribed> subscribe(subscription_id id, subscription spec, caf::actor subscriber);
  caf::result<void> unsubscribe(subscription_id id);
  void on_deliveries(delivery_batch& batch);
  void on_unasked_error(const caf::error& reason);
  void on_down(const caf::actor_addr& who, const caf::error& reason);
  void on_exit(const caf::error& reason);
  void on_exception(const std::exception_ptr& thrown);

  caf::result<center_status> status();
  caf::result<drained> drain(std::chrono::milliseconds limit);
  void on_drain_deadline();
  void stop();

  dispatching& work() noexcept {
    return work_;
  }

private:
  std::chrono::steady_clock::time_point now() const override;
  std::chrono::system_clock::time_point wall_time() const override;
  void send(subscriber_id to, caf::message message) override;
  void ask(subscriber_id to, const caf::message& message, question about) override;
  void ask(subscriber_id to, caf::message message, subscription_id id, std::uint64_t mark) override;
  void grant(subscription_id id, const subscribed& answer) override;
  void refuse(subscription_id id, const caf::error& why) override;
  void forget(subscriber_id who) override;
  void want(wanted_consumer consumer) override;
  void unwant(amqp::consumer_id id) override;
  void unwant(amqp::consumer_id id, amqp::binding binding) override;
  void publish(amqp::publication copy, delivery_key of) override;
  void pause(delivery_key key, std::chrono::milliseconds time) override;
  void tick_after(std::chrono::milliseconds time) override;
  void flush_soon() override;
  void end_drain() override;

  caf::event_based_actor* self_;
  caf::actor supervisor_;
  dispatching work_;
  known_strategies strategies_;
  /// Promises of subscriptions that the broker has not answered.
  std::unordered_map<subscription_id, caf::response_promise> promises_;
  caf::response_promise drain_promise_;
};

/// This actor owns the `exchange:routing_key` handler table: it decodes each message once, hands
/// the message to every handler that matches, and decides when a delivery is acknowledged.
///
/// | message | answer |
/// | --- | --- |
/// | subscribe_atom, its id, subscription, subscriber | `subscribed`, or an error |
/// | unsubscribe_atom, subscription id | nothing, or an error |
/// | status_atom | `center_status`, with the supervisor's part |
/// | drain_atom, limit | `drained`, when nothing is consumed and all is answered |
/// | stop_atom | ends |
/// | delivery_batch | from a link, settled by its sender |
/// | consumer_state, consumers_lost | from the supervisor |
caf::behavior dispatcher(caf::stateful_actor<dispatcher_state>* self,
                         const dispatcher_settings& settings, caf::actor supervisor);

} // namespace actors
