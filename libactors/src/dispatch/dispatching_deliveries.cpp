#include <exception>

#include <caf/sec.hpp>
#include <fmt/core.h>

#include "actors/error.hpp"
#include "actors/logging.hpp"
#include "delivery/consumer_ids.hpp"
#include "delivery/retry.hpp"
#include "dispatch/dispatching.hpp"
#include "runtime/repeated_log.hpp"
#include "settings/subscription_queues.hpp"

// This file has a delivery's way to the strategies.

namespace actors {

// -- a message comes in -------------------------------------------------------------------

void dispatching::on_deliveries(const amqp::link_sender_ptr& out, std::uint32_t number,
                                std::vector<amqp::delivery>& batch) {
  const auto generation = deliveries_.enter(out, number);
  now_ = door_->now();
  // The set flag keeps each delivery from asking for a flush: one at the end serves the batch.
  const auto scheduled = std::exchange(flush_scheduled_, true);
  for (auto& delivery : batch) {
    const auto id = delivery.consumer; // the delivery may be moved from
    const auto tag = delivery.tag;
    try {
      dispatch(generation, delivery);
    } catch (...) {
      settle_poison({generation, tag}, id, std::current_exception());
    }
  }
  flush();
  flush_scheduled_ = scheduled;
}

void dispatching::dispatch(std::uint64_t generation, amqp::delivery& delivery) {
  ++counters_.received;
  auto* consumer = table_.find_consumer(delivery.consumer);
  if (!consumer)
    return settle_unknown(generation, delivery);
  auto& from = *consumer;
  if (from.generation != generation) {
    deliveries_.began(delivery.consumer, generation);
    from.generation = generation;
  }
  if (draining_ && !from.spec.no_ack)
    return settle_unknown(generation, delivery);
  if (!from.spec.no_ack)
    deliveries_.arrived(delivery.tag);
  const delivery_key key{generation, delivery.tag};
  if (delivery.unreadable)
    return settle_unreadable(key, delivery, from);
  restore_origin(delivery);
  auto& ids = from.handlers.match(delivery.exchange, delivery.routing_key);
  if (ids.empty())
    return settle_unmatched(key, delivery, from);
  open_delivery open;
  open.consumer = delivery.consumer;
  open.pause = delivery.redelivered;
  open.since = now_;
  open.plan = from.plan;
  if (from.spec.kind == queue_kind::stream) {
    open.offset = stream_offset(delivery.properties);
    if (open.offset)
      from.next_offset = *open.offset + 1;
  }
  caf::error malformed;
  auto readable = false;
  auto wanted = false;
  std::vector<subscription_id> places;
  decoder_.begin(delivery, from.queue_name, from.spec.prefetch_count);
  for (auto id : ids) {
    auto& to = table_.at(id);
    if (to.subscriber == 0) {
      places.push_back(id);
      continue;
    }
    auto& message = decoder_.get(to.spec.codec);
    if (message) {
      readable = true;
      wanted = dispatch_to(to, delivery, *message, key, open) || wanted;
    } else if (code_of(message.error()) == ec::unexpected_event
               && gives_back_unmatched(from.spec)) {
      pass_over(to, delivery);
    } else {
      wanted = true;
      malformed = message.error();
      if (!decoder_.failed_to_open()) // else no handler's failure
        skip(to, delivery);
    }
  }
  if (!wanted && gives_back_unmatched(from.spec))
    return settle_unmatched(key, delivery, from);
  hold_for(places, delivery, key, open);
  if (malformed)
    report_malformed(delivery, from, malformed);
  if (!readable) {
    open.outcome = stronger(open.outcome, verdict::reject);
    open.error = text_of(malformed);
  }
  if (open.plan || (delivery.redelivered && gives_back_unmatched(from.spec)))
    open.original = std::move(delivery);
  if (open.waiting.empty() && open.following.empty())
    return finish(key, open);
  deliveries_.wait(key, std::move(open));
  schedule_tick();
}

// The consumer was cancelled while this delivery was on its way: the message goes back to its queue
// for others. While the consumer is being retired it waits, as the same consumer would get it
// again.
void dispatching::settle_unknown(std::uint64_t generation, const amqp::delivery& delivery) {
  ++counters_.unmatched;
  if (is_no_ack(delivery.consumer))
    return;
  deliveries_.arrived(delivery.tag);
  if (table_.is_retiring(delivery.consumer))
    deliveries_.pause({generation, delivery.tag}, {delivery.consumer, verdict::release});
  else
    settle({generation, delivery.tag}, delivery.consumer, verdict::release);
}

// The link has skipped a message that it cannot take. A strategy with stream events sees the gap
// with the next message.
void dispatching::settle_unreadable(delivery_key key, const amqp::delivery& delivery,
                                    shared_consumer& from) {
  ++counters_.unreadable;
  if (!std::exchange(from.told_unreadable, true))
    log(log_level::error,
        fmt::format("queue '{}': a message from {}:{} is rejected, as this link cannot take it, "
                    "and so is each like it: {}",
                    from.queue_name, delivery.exchange, delivery.routing_key,
                    delivery.unreadable->text));
  settle(key, delivery.consumer, verdict::reject);
}

// No exception of a user's code should come this far; one that does ends its message alone.
void dispatching::settle_poison(delivery_key key, amqp::consumer_id id,
                                const std::exception_ptr& thrown) {
  ++counters_.malformed;
  log_repeated(log_level::error, "cannot be dispatched", "",
               "a message is rejected, as it cannot be dispatched: " + text_of(thrown));
  settle(key, id, verdict::reject);
}

// A message of a queue that outlives its consumers must not be dropped: another process may want
// it, or a strategy that will be back.
void dispatching::settle_unmatched(delivery_key key, amqp::delivery& delivery,
                                   shared_consumer& from) {
  using fate = unmatched_messages::fate;
  using goal = open_deliveries::moving_delivery::goal;
  ++counters_.unmatched;
  if (!gives_back_unmatched(from.spec))
    return settle(key, delivery.consumer, verdict::ack);
  const auto judgement = from.unmatched.judge(delivery, has_dead_letters(from.spec));
  if (!std::exchange(from.told_unmatched, true))
    log(log_level::warning,
        fmt::format("queue '{}': no handler here is for {}:{}: it goes back for whoever wants it, "
                    "and so does each like it",
                    from.queue_name, delivery.exchange, delivery.routing_key));
  const auto consumer = delivery.consumer;
  // The queue is asked for early, so that it exists when it is needed.
  if (delivery.redelivered && !from.sets_aside_since) {
    table_.set_aside(consumer, from, now_);
    follow();
  }
  if (judgement.outcome == fate::release)
    return settle(key, consumer, verdict::release);
  if (judgement.outcome == fate::dead_letter) {
    return send_copy(key, {consumer, goal::dead_letters},
                     unmatched_copy_for(dead_letter_queue_name(from.queue), std::move(delivery),
                                        judgement.round));
  }
  send_copy(
      key, {consumer, goal::unmatched},
      unmatched_copy_for(unmatched_queue_name(from.queue), std::move(delivery), judgement.round));
}

// Returns whether the handler is for the message.
bool dispatching::dispatch_to(event_handler& to, const amqp::delivery& delivery,
                              const caf::message& event, delivery_key key, open_delivery& open) {
  if (!to.wants(event)) {
    pass_over(to, delivery);
    return false;
  }
  const auto on_success = to.spec.ack == ack_policy::on_success;
  if (on_success && to.must_wait(now_)) {
    to.hold(delivery, event, door_->wall_time(), key, open);
    return true;
  }
  const auto place = arrive(to, delivery);
  if (place == stream_tracker::verdict::handled) {
    ++to.counters.duplicates;
  } else if (place == stream_tracker::verdict::in_hand) {
    // The copy is needed only if the first one fails, and gets the first one's verdict.
    open.following.push_back(to.id());
    deliveries_.follow(
        to.id(), {delivery.exchange, delivery.routing_key, delivery.properties.position}, key);
  } else if (on_success) {
    open.waiting.push_back(to.id());
    if (!open.from)
      open.from = origin_of(delivery);
    if (to.spec.has_delivery_info)
      ask(to, to.message_for(delivery, event, door_->wall_time()), key, open.from);
    else
      ask(to, event, key, open.from);
  } else {
    to.streams.handled(delivery.exchange, delivery.routing_key, delivery.properties.position);
    offer_event(to, delivery, event);
  }
  return true;
}

void dispatching::hold_for(const std::vector<subscription_id>& places,
                           const amqp::delivery& delivery, delivery_key key, open_delivery& open) {
  for (auto id : places) {
    auto& place = table_.at(id);
    auto& message = decoder_.get(place.spec.codec);
    if (message && place.wants(*message))
      place.hold(delivery, *message, door_->wall_time(), key, open);
  }
}

void dispatching::pass_over(event_handler& to, const amqp::delivery& delivery) {
  to.passed_over(delivery, now_);
  tell_arriving(to);
}

void dispatching::skip(event_handler& to, const amqp::delivery& delivery) {
  to.skipped(delivery, now_);
  tell_arriving(to);
}

stream_tracker::verdict dispatching::arrive(event_handler& to, const amqp::delivery& delivery) {
  const auto result = to.arrived(delivery, now_);
  tell_arriving(to);
  return result;
}

// Notices must not overtake waiting events.
void dispatching::tell_arriving(event_handler& to) {
  if (to.window.waiting() == 0)
    tell(to, to.arriving);
}

void dispatching::report_malformed(const amqp::delivery& delivery, const shared_consumer& from,
                                   const caf::error& reason) {
  ++counters_.malformed;
  log_repeated(log_level::warning, "malformed", from.queue_name,
               fmt::format("queue '{}': message from {}:{} dropped: {}", from.queue_name,
                           delivery.exchange, delivery.routing_key, text_of(reason)));
}

// -- to a strategy, on dispatch ---------------------------------------------------------

void dispatching::offer_event(event_handler& to, const amqp::delivery& delivery,
                              const caf::message& event) {
  const auto received =
      to.spec.has_delivery_info ? door_->wall_time() : std::chrono::system_clock::time_point{};
  if (!to.offer(delivery, event, received) && to.window.drops().total() == 1)
    log(log_level::warning,
        fmt::format("the strategy that subscribed {} is slower than its events: {}, {} wait",
                    to_string(to.spec), to_string(to.spec.window.policy), to.window.waiting()));
  pump(to);
}

void dispatching::pump(event_handler& to) {
  while (auto item = to.window.next(now_)) {
    tell(to, to.overdue);
    tell(to, item->value.before);
    ++to.counters.delivered;
    if (item->mark == 0) {
      door_->send(to.subscriber, std::move(item->value.event));
    } else {
      schedule_tick();
      door_->ask(to.subscriber, std::move(item->value.event), to.id(), item->mark);
    }
  }
}

void dispatching::tell(const event_handler& to, std::vector<stream_notice>& notices) {
  for (auto& notice : std::exchange(notices, {}))
    std::visit([&](auto& x) { door_->send(to.subscriber, caf::make_message(std::move(x))); },
               notice);
}

// A handler on dispatch failed with an event that is no mark: no delivery depends on the answer,
// but the failure must be seen.
void dispatching::on_unasked_error(subscriber_id who, const caf::error& reason) {
  for (auto id : table_.of(who)) {
    auto& handler = table_.at(id);
    if (handler.spec.ack == ack_policy::on_dispatch)
      return count_failure(handler, reason);
  }
}

void dispatching::count_failure(event_handler& handler, const caf::error& reason) {
  ++handler.counters.failed;
  report_failure(handler, reason, "the message is not handed over again");
}

// A strategy that is started again is another actor, so the log knows it by its name. Texts may
// differ from message to message.
std::string dispatching::kind_of(const event_handler& handler, const caf::error& reason) {
  const auto& spec = handler.spec;
  return fmt::format("{} {} {} {} {}", spec.strategy, to_string(spec), spec.queue.value_or(""),
                     reason ? caf::to_string(reason.category()) : std::string{},
                     reason ? reason.code() : 0);
}

void dispatching::report_failure(const event_handler& handler, const caf::error& reason,
                                 std::string_view fate) {
  const auto& spec = handler.spec;
  const auto what =
      fmt::format("strategy {}, which subscribed {}", name_of_strategy(handler), to_string(spec));
  if (reason == caf::sec::unexpected_message)
    log_repeated(log_level::error, "no handler", kind_of(handler, reason),
                 fmt::format("{}, has no handler for what came ({}): {}", what, fate,
                             missing_handler_text(spec)));
  else
    log_repeated(log_level::warning, "handler failed", kind_of(handler, reason),
                 fmt::format("{}, failed with a message ({}): {}", what, fate, text_of(reason)));
}

} // namespace actors
