#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include <caf/message.hpp>

#include "actors/status.hpp"
#include "actors/subscription.hpp"
#include "delivery/circuit_breaker.hpp"
#include "delivery/delivery_window.hpp"
#include "delivery/open_deliveries.hpp"
#include "delivery/stream_tracker.hpp"

namespace actors {

/// Names a strategy; 0 is none.
using subscriber_id = std::uint64_t;

/// An event on its way to a strategy that is told of its stream as well.
struct offered_event {
  caf::message event;
  /// To be told ahead of it.
  std::vector<stream_notice> before;
  /// What is missing if this is dropped; only for a strategy that wants to know.
  std::optional<stream_gap> self;
};

/// A message that waits for a strategy to be back, or to answer others.
struct held_message {
  /// Without its body.
  amqp::delivery about;
  caf::message event;
};

/// A subscription, and what its strategy has in hand, waits for and has missed. A plain value.
struct event_handler {
  using time_point = std::chrono::steady_clock::time_point;

  /// Names it in the tables; its strategy knows it as `counters.id`.
  subscription_id number = 0;
  subscription spec;
  /// None: it has ended, and its place is kept for a moment.
  subscriber_id subscriber = 0;
  amqp::consumer_id consumer = 0;
  /// The broker has confirmed its consumer and binding.
  bool established = false;
  /// It was told that its link is lost.
  bool link_loss_reported = false;
  /// No longer in the table: only what its strategy has not answered yet keeps it.
  bool removed = false;
  handler_status counters;
  stream_tracker streams;
  /// Without `ack_policy::on_success`.
  delivery_window<offered_event> window;
  /// To be told ahead of the next event that comes, ...
  std::vector<stream_notice> arriving;
  /// ... and ahead of the next one that is handed over.
  std::vector<stream_notice> overdue;
  /// What it was too late for.
  std::set<delivery_key> expired_deliveries;
  /// Opens when it is late.
  circuit_breaker breaker;
  /// Until when its place is kept.
  time_point kept_until;
  /// What came while it was away or late.
  std::map<delivery_key, held_message> held;

  subscription_id id() const noexcept {
    return number;
  }

  /// Whether it wants a message of its routing key.
  bool wants(const caf::message& x) const;

  /// Whether a message that it is to answer must wait: others do, or it is late.
  bool must_wait(time_point now) const noexcept {
    return !held.empty() || !breaker.lets_pass(now);
  }

  /// What a message is by its place in its stream. What it is to be told of that is in
  /// `arriving`.
  stream_tracker::verdict arrived(const amqp::delivery& x, time_point now);

  /// The message is in its place, but not for this handler.
  void passed_over(const amqp::delivery& x, time_point now);

  /// The message cannot be read as what this handler wants.
  void skipped(const amqp::delivery& x, time_point now);

  /// What the strategy is sent for a message: the event, and a `delivery_info` if it wants one.
  caf::message message_for(const amqp::delivery& x, const caf::message& event,
                           std::chrono::system_clock::time_point received) const;

  /// Lets a message wait for room. False: another one, or this one, was dropped for it, see
  /// `counters` and the notices.
  bool offer(const amqp::delivery& x, const caf::message& event,
             std::chrono::system_clock::time_point received);

  /// Lets a message wait until the strategy is back, or has answered others.
  void hold(const amqp::delivery& x, const caf::message& event,
            std::chrono::system_clock::time_point received, delivery_key key, open_delivery& open);

  /// What `event_center::status` shows of it.
  handler_status status(std::string queue) const;

private:
  void on_dropped(offered_event dropped);
};

/// Where a message stands in its stream; nothing if it has no place in one.
std::shared_ptr<const message_origin> origin_of(const amqp::delivery& x);

} // namespace actors
