#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <caf/message.hpp>

#include "actors/status.hpp"
#include "actors/subscription.hpp"
#include "delivery/circuit_breaker.hpp"
#include "delivery/delivery_window.hpp"
#include "delivery/open_deliveries.hpp"
#include "delivery/stream_tracker.hpp"

namespace actors {

/// The number of a strategy; 0 is none.
using subscriber_id = std::uint64_t;

/// An event on its way to a strategy, with notices of the event's stream.
struct offered_event {
  caf::message event;
  /// Notices to send ahead of the event.
  std::vector<stream_notice> before;
  /// The gap to report if this event is dropped; set only for a strategy with `stream_events`.
  std::optional<stream_gap> self;
};

/// A message that waits for an absent strategy, or for a strategy's answer to others.
struct held_message {
  /// The delivery without its body.
  amqp::delivery about;
  caf::message event;
};

struct event_handler;

/// Returns the strategy as the log names it: "'seller' (actor 11)", or "actor 11" without a name.
std::string name_of_strategy(const event_handler& x);

/// Returns what to do about a strategy without a handler for what it has subscribed.
std::string missing_handler_text(const subscription& x);

/// A subscription with the messages that its strategy has in hand, waits for and has missed. A
/// plain value.
struct event_handler {
  using time_point = std::chrono::steady_clock::time_point;

  /// The handler's id in the tables; the strategy knows the subscription as `counters.id`.
  subscription_id number = 0;
  subscription spec;
  /// The strategy, or 0: the strategy has ended, and its place is kept for a moment.
  subscriber_id subscriber = 0;
  amqp::consumer_id consumer = 0;
  /// The broker has confirmed the consumer and the binding.
  bool established = false;
  /// The strategy was told that its link is lost.
  bool link_loss_reported = false;
  /// The handler is no longer in the table, and stays only for answers still to come.
  bool removed = false;
  handler_status counters;
  stream_tracker streams;
  /// Waiting events; unused with `ack_policy::on_success`.
  delivery_window<offered_event> window;
  /// Notices to send ahead of the next event that arrives.
  std::vector<stream_notice> arriving;
  /// Notices to send ahead of the next event that is handed over.
  std::vector<stream_notice> overdue;
  /// Deliveries that the strategy answered too late.
  std::set<delivery_key> expired_deliveries;
  /// The breaker opens when the strategy is late.
  circuit_breaker breaker;
  /// The end of the time for which its place is kept.
  time_point kept_until;
  /// Messages that came while the strategy was absent or late.
  std::map<delivery_key, held_message> held;

  subscription_id id() const noexcept {
    return number;
  }

  /// Whether the handler wants a message of its routing key.
  bool wants(const caf::message& x) const;

  /// Whether a message to be answered must wait: others wait already, or the strategy is late.
  bool must_wait(time_point now) const noexcept {
    return !held.empty() || !breaker.lets_pass(now);
  }

  /// Judges a message by its place in its stream. Notices about the stream are added to `arriving`.
  stream_tracker::verdict arrived(const amqp::delivery& delivery, time_point now);

  /// Records a message of the stream that is not for this handler.
  void passed_over(const amqp::delivery& delivery, time_point now);

  /// Records a message that cannot be decoded into this handler's form.
  void skipped(const amqp::delivery& delivery, time_point now);

  /// Makes the message for the strategy: the event, and a `delivery_info` if the strategy wants
  /// one.
  caf::message message_for(const amqp::delivery& delivery, const caf::message& event,
                           std::chrono::system_clock::time_point received) const;

  /// Adds an event to the window. False: this event or another one was dropped, see `counters` and
  /// the notices.
  bool offer(const amqp::delivery& delivery, const caf::message& event,
             std::chrono::system_clock::time_point received);

  /// Holds a message until the strategy is back, or has answered others.
  void hold(const amqp::delivery& delivery, const caf::message& event,
            std::chrono::system_clock::time_point received, delivery_key key, open_delivery& open);

  /// Returns this handler's line of `event_center::status`.
  handler_status status(std::string queue) const;

private:
  void on_dropped(offered_event dropped);
};

/// Returns a message's place in its stream; null if the message has none.
std::shared_ptr<const message_origin> origin_of(const amqp::delivery& delivery);

} // namespace actors
