#include <exception>

#include <fmt/core.h>

#include "actors/error.hpp"
#include "actors/logging.hpp"
#include "delivery/consumer_ids.hpp"
#include "delivery/retry.hpp"
#include "dispatch/dispatching.hpp"
#include "runtime/repeated_log.hpp"
#include "settings/subscription_queues.hpp"

// A delivery's way to the strategies.

namespace actors {

// -- a message comes in -------------------------------------------------------------------

void dispatching::on_deliveries(const amqp::link_sender_ptr& out, std::uint32_t number,
                                std::vector<amqp::delivery>& xs) {
  const auto generation = deliveries_.enter(out, number);
  now_ = door_->now();
  // One flush at the end does for all of them.
  const auto scheduled = std::exchange(flush_scheduled_, true);
  for (auto& x : xs) {
    const auto id = x.consumer; // it may be moved from
    const auto tag = x.tag;
    try {
      dispatch(generation, x);
    } catch (...) {
      settle_poison({generation, tag}, id, std::current_exception());
    }
  }
  flush();
  flush_scheduled_ = scheduled;
}

void dispatching::dispatch(std::uint64_t generation, amqp::delivery& x) {
  ++counters_.received;
  auto* consumer = table_.find_consumer(x.consumer);
  if (!consumer)
    return settle_unknown(generation, x);
  auto& from = *consumer;
  if (from.generation != generation) {
    deliveries_.began(x.consumer, generation);
    from.generation = generation;
  }
  if (draining_ && !from.spec.no_ack)
    return settle_unknown(generation, x);
  if (!from.spec.no_ack)
    deliveries_.arrived(x.tag);
  const delivery_key key{generation, x.tag};
  if (x.unreadable)
    return settle_unreadable(key, x, from);
  restore_origin(x);
  auto& ids = from.handlers.match(x.exchange, x.routing_key);
  if (ids.empty())
    return settle_unmatched(key, x, from);
  open_delivery open;
  open.consumer = x.consumer;
  open.pause = x.redelivered;
  open.since = now_;
  open.plan = from.plan;
  if (from.spec.kind == queue_kind::stream) {
    open.offset = stream_offset(x.properties);
    if (open.offset)
      from.next_offset = *open.offset + 1;
  }
  caf::error malformed;
  auto readable = false;
  auto wanted = false;
  std::vector<subscription_id> places;
  decoder_.begin(x, from.queue_name, from.spec.prefetch_count);
  for (auto id : ids) {
    auto& to = table_.at(id);
    if (to.subscriber == 0) {
      places.push_back(id);
      continue;
    }
    auto& message = decoder_.get(to.spec.codec);
    if (message) {
      readable = true;
      wanted = dispatch_to(to, x, *message, key, open) || wanted;
    } else if (code_of(message.error()) == ec::unexpected_event
               && gives_back_unmatched(from.spec)) {
      pass_over(to, x);
    } else {
      wanted = true;
      malformed = message.error();
      if (!decoder_.failed_to_open()) // else nobody's failure
        skip(to, x);
    }
  }
  if (!wanted && gives_back_unmatched(from.spec))
    return settle_unmatched(key, x, from);
  hold_for(places, x, key, open);
  if (malformed)
    report_malformed(x, from, malformed);
  if (!readable) {
    open.outcome = stronger(open.outcome, verdict::reject);
    open.error = text_of(malformed);
  }
  if (open.plan || (x.redelivered && gives_back_unmatched(from.spec)))
    open.original = std::move(x);
  if (open.waiting.empty() && open.following.empty())
    return finish(key, open);
  deliveries_.wait(key, std::move(open));
  schedule_tick();
}

// A consumer that was cancelled while this was on its way: back to its queue, for
// others; once the consumer has ended, as it would only get it again.
void dispatching::settle_unknown(std::uint64_t generation, const amqp::delivery& x) {
  ++counters_.unmatched;
  if (is_no_ack(x.consumer))
    return;
  deliveries_.arrived(x.tag);
  if (table_.is_retiring(x.consumer))
    deliveries_.pause({generation, x.tag}, {x.consumer, verdict::release});
  else
    settle({generation, x.tag}, x.consumer, verdict::release);
}

// Skipped by the link, which cannot take it. A strategy that follows its streams sees the
// gap with the next message.
void dispatching::settle_unreadable(delivery_key key, const amqp::delivery& x,
                                    shared_consumer& from) {
  ++counters_.unreadable;
  if (!std::exchange(from.told_unreadable, true))
    log(log_level::error,
        fmt::format("queue '{}': a message from {}:{} is rejected, as this link cannot take it, "
                    "and so is each like it: {}",
                    from.queue_name, x.exchange, x.routing_key, x.unreadable->text));
  settle(key, x.consumer, verdict::reject);
}

// Of what a user's code may throw nothing should come to this; if it does, it is the end
// of that message alone.
void dispatching::settle_poison(delivery_key key, amqp::consumer_id id,
                                const std::exception_ptr& what) {
  ++counters_.malformed;
  log_repeated(log_level::error, "cannot be dispatched", "",
               "a message is rejected, as it cannot be dispatched: " + text_of(what));
  settle(key, id, verdict::reject);
}

// Of a queue that is kept it is not ours to drop: another process may want it, or a
// strategy that will be back.
void dispatching::settle_unmatched(delivery_key key, amqp::delivery& x, shared_consumer& from) {
  using fate = unmatched_messages::fate;
  using goal = open_deliveries::moving_delivery::goal;
  ++counters_.unmatched;
  if (!gives_back_unmatched(from.spec))
    return settle(key, x.consumer, verdict::ack);
  const auto what = from.unmatched.judge(x, has_dead_letters(from.spec));
  if (!std::exchange(from.told_unmatched, true))
    log(log_level::warning,
        fmt::format("queue '{}': no handler here is for {}:{}: it goes back for whoever wants it, "
                    "and so does each like it",
                    from.queue_name, x.exchange, x.routing_key));
  const auto consumer = x.consumer;
  // Soon enough for it to be there when it is needed.
  if (x.redelivered && !from.sets_aside_since) {
    table_.set_aside(consumer, from, now_);
    follow();
  }
  if (what.outcome == fate::release)
    return settle(key, consumer, verdict::release);
  if (what.outcome == fate::dead_letter) {
    return send_copy(
        key, {consumer, goal::dead_letters},
        unmatched_copy_for(dead_letter_queue_name(from.queue), std::move(x), what.round));
  }
  send_copy(key, {consumer, goal::unmatched},
            unmatched_copy_for(unmatched_queue_name(from.queue), std::move(x), what.round));
}

// Gives back whether the handler is for it.
bool dispatching::dispatch_to(event_handler& to, const amqp::delivery& x, const caf::message& what,
                              delivery_key key, open_delivery& open) {
  if (!to.wants(what)) {
    pass_over(to, x);
    return false;
  }
  const auto on_success = to.spec.ack == ack_policy::on_success;
  if (on_success && to.must_wait(now_)) {
    to.hold(x, what, door_->wall_time(), key, open);
    return true;
  }
  const auto place = arrive(to, x);
  if (place == stream_tracker::verdict::handled) {
    ++to.counters.duplicates;
  } else if (place == stream_tracker::verdict::in_hand) {
    // Needed only if the first one fails: it gets that one's verdict.
    open.following.push_back(to.id());
    deliveries_.follow(to.id(), {x.exchange, x.routing_key, x.properties.position}, key);
  } else if (on_success) {
    open.waiting.push_back(to.id());
    if (!open.from)
      open.from = origin_of(x);
    if (to.spec.has_delivery_info)
      ask(to, to.message_for(x, what, door_->wall_time()), key, open.from);
    else
      ask(to, what, key, open.from);
  } else {
    to.streams.handled(x.exchange, x.routing_key, x.properties.position);
    offer_event(to, x, what);
  }
  return true;
}

void dispatching::hold_for(const std::vector<subscription_id>& places, const amqp::delivery& x,
                           delivery_key key, open_delivery& open) {
  for (auto id : places) {
    auto& place = table_.at(id);
    auto& message = decoder_.get(place.spec.codec);
    if (message && place.wants(*message))
      place.hold(x, *message, door_->wall_time(), key, open);
  }
}

void dispatching::pass_over(event_handler& to, const amqp::delivery& x) {
  to.passed_over(x, now_);
  tell_arriving(to);
}

void dispatching::skip(event_handler& to, const amqp::delivery& x) {
  to.skipped(x, now_);
  tell_arriving(to);
}

stream_tracker::verdict dispatching::arrive(event_handler& to, const amqp::delivery& x) {
  const auto result = to.arrived(x, now_);
  tell_arriving(to);
  return result;
}

// Notices must not overtake what waits.
void dispatching::tell_arriving(event_handler& to) {
  if (to.window.waiting() == 0)
    tell(to, to.arriving);
}

void dispatching::report_malformed(const amqp::delivery& x, const shared_consumer& from,
                                   const caf::error& reason) {
  ++counters_.malformed;
  log_repeated(log_level::warning, "malformed", from.queue_name,
               fmt::format("queue '{}': message from {}:{} dropped: {}", from.queue_name,
                           x.exchange, x.routing_key, text_of(reason)));
}

// -- to a strategy, on dispatch ---------------------------------------------------------

void dispatching::offer_event(event_handler& to, const amqp::delivery& x,
                              const caf::message& what) {
  const auto received =
      to.spec.has_delivery_info ? door_->wall_time() : std::chrono::system_clock::time_point{};
  if (!to.offer(x, what, received) && to.window.drops().total() == 1)
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

// A handler on dispatch failed with an event that is no mark: nothing depends on
// its answer, but somebody may want to know.
void dispatching::on_unasked_error(subscriber_id who, const caf::error& reason) {
  for (auto id : table_.of(who)) {
    auto& x = table_.at(id);
    if (x.spec.ack == ack_policy::on_dispatch)
      return count_failure(x, reason);
  }
}

void dispatching::count_failure(event_handler& x, const caf::error& reason) {
  ++x.counters.failed;
  log_repeated(log_level::warning, "handler failed", to_string(x.spec),
               fmt::format("handler of {} failed: {}", to_string(x.spec), text_of(reason)));
}

} // namespace actors
