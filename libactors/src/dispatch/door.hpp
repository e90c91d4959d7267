#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include <caf/error.hpp>
#include <caf/message.hpp>

#include "actors/subscription.hpp"
#include "amqp/transport.hpp"
#include "delivery/event_handler.hpp"
#include "delivery/open_deliveries.hpp"
#include "topology/topology_state.hpp"

namespace actors {

/// A message that a strategy was asked to handle.
struct question {
  delivery_key key;
  subscription_id id = 0;
  std::shared_ptr<const message_origin> from;
  /// The message's number in the strategy's circuit breaker.
  std::uint64_t number = 0;
};

/// The door by which `dispatching` reaches strategies, supervisor and clock. Answers come back as
/// calls of `dispatching`.
class dispatch_door {
public:
  virtual ~dispatch_door() = default;

  virtual std::chrono::steady_clock::time_point now() const = 0;
  virtual std::chrono::system_clock::time_point wall_time() const = 0;

  // -- to a strategy ---------------------------------------------------------------------

  virtual void send(subscriber_id to, caf::message message) = 0;

  /// `dispatching::on_answer` takes the answer.
  virtual void ask(subscriber_id to, const caf::message& message, question about) = 0;

  /// `dispatching::on_mark` takes the answer.
  virtual void ask(subscriber_id to, caf::message message, subscription_id id,
                   std::uint64_t mark) = 0;

  /// Answers `subscribe`.
  virtual void grant(subscription_id id, const subscribed& answer) = 0;

  /// Answers `subscribe` with an error; of no effect after the first answer.
  virtual void refuse(subscription_id id, const caf::error& why) = 0;

  /// The strategy has no subscription any more.
  virtual void forget(subscriber_id who) = 0;

  // -- to the supervisor -----------------------------------------------------------------

  virtual void want(wanted_consumer consumer) = 0;
  virtual void unwant(amqp::consumer_id id) = 0;
  virtual void unwant(amqp::consumer_id id, amqp::binding binding) = 0;

  /// `dispatching::on_moved` takes the answer.
  virtual void publish(amqp::publication copy, delivery_key of) = 0;

  // -- to ourselves ----------------------------------------------------------------------

  /// Calls `dispatching::on_pause_over` after this time.
  virtual void pause(delivery_key key, std::chrono::milliseconds time) = 0;

  /// Calls `dispatching::on_tick` after this time.
  virtual void tick_after(std::chrono::milliseconds time) = 0;

  /// Calls `dispatching::on_flush` after the messages that wait already.
  virtual void flush_soon() = 0;

  /// The drain is over: no consumer is left, and all deliveries are answered.
  virtual void end_drain() = 0;
};

} // namespace actors
