#include <algorithm>
#include <exception>

#include <fmt/core.h>

#include "actors/error.hpp"
#include "actors/logging.hpp"
#include "center/dispatcher.hpp"
#include "center/guarded.hpp"
#include "delivery/consumer_ids.hpp"
#include "delivery/retry.hpp"
#include "runtime/batched_wake_up.hpp"
#include "runtime/repeated_log.hpp"
#include "settings/subscription_queues.hpp"

// A delivery's way to the strategies.

namespace actors {

namespace {

std::optional<std::int64_t> stream_offset(const amqp::properties& x) noexcept {
  for (auto& [name, value] : x.headers)
    if (name == "x-stream-offset")
      if (auto offset = std::get_if<std::int64_t>(&value))
        return *offset;
  return std::nullopt;
}

std::string subject_of(const event_codec& codec, const caf::message& what) noexcept try {
  return codec.subject(what);
} catch (...) { // it may be the user's
  return {};
}

/// What `delivery_policy::latest_per_key` keeps one of.
std::string conflation_key(const amqp::delivery& x, const event_codec& codec,
                           const caf::message& what) {
  auto result = x.routing_key;
  if (codec.subject) {
    result += '\n';
    result += subject_of(codec, what);
  }
  return result;
}

/// Whether a subscription wants a message of its routing key.
bool wants(const subscription& x, const caf::message& what) {
  return x.subject.empty() || subject_of(x.codec, what) == x.subject;
}

} // namespace

// -- a message comes in -------------------------------------------------------------------

void dispatcher_state::on_deliveries(delivery_batch& batch) {
  const auto life = deliveries_.enter(batch.out, batch.incarnation);
  now_ = self_->clock().now();
  // One flush at the end does for all of them.
  const auto scheduled = std::exchange(flush_scheduled_, true);
  {
    batched_wake_up later{*self_};
    for (auto& x : batch.items) {
      const auto id = x.consumer; // it may be moved from
      const auto tag = x.tag;
      try {
        dispatch(life, x);
      } catch (...) {
        settle_poison({life, tag}, id, std::current_exception());
      }
    }
    flush();
  }
  flush_scheduled_ = scheduled;
}

void dispatcher_state::dispatch(std::uint64_t life, amqp::delivery& x) {
  ++counters_.received;
  auto i = consumers_.find(x.consumer);
  if (i == consumers_.end())
    return settle_unknown(life, x);
  auto& from = i->second;
  if (from.life != life) {
    deliveries_.began(x.consumer, life);
    from.life = life;
  }
  if (draining_ && !from.what.no_ack)
    return settle_unknown(life, x);
  if (!from.what.no_ack)
    deliveries_.arrived(x.tag);
  const delivery_key key{life, x.tag};
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
  if (from.what.kind == queue_kind::stream) {
    open.offset = stream_offset(x.properties);
    if (open.offset)
      from.next_offset = *open.offset + 1;
  }
  caf::error malformed;
  auto readable = false;
  auto wanted = false;
  std::vector<subscription_id> places;
  decoder_.begin(x, from.queue_name, from.what.prefetch_count);
  for (auto id : ids) {
    auto& to = handlers_.at(id);
    if (!to.subscriber) {
      places.push_back(id);
      continue;
    }
    auto& message = decoder_.get(to.what.codec);
    if (message) {
      readable = true;
      wanted = dispatch_to(to, x, *message, key, open) || wanted;
    } else if (code_of(message.error()) == ec::unexpected_event
               && gives_back_unmatched(from.what)) {
      pass_over(to, x);
    } else {
      wanted = true;
      malformed = message.error();
      if (!decoder_.failed_to_open()) // else nobody's failure
        skip(to, x);
    }
  }
  if (!wanted && gives_back_unmatched(from.what))
    return settle_unmatched(key, x, from);
  hold_for(places, x, key, open);
  if (malformed)
    report_malformed(x, from, malformed);
  if (!readable) {
    open.outcome = stronger(open.outcome, verdict::reject);
    open.error = text_of(malformed);
  }
  if (open.plan || (x.redelivered && gives_back_unmatched(from.what)))
    open.original = std::move(x);
  if (open.waiting.empty() && open.following.empty())
    return finish(key, open);
  deliveries_.wait(key, std::move(open));
  schedule_tick();
}

// A consumer that was cancelled while this was on its way: back to its queue, for
// others; once the consumer has ended, as it would only get it again.
void dispatcher_state::settle_unknown(std::uint64_t life, const amqp::delivery& x) {
  ++counters_.unmatched;
  if (is_no_ack(x.consumer))
    return;
  deliveries_.arrived(x.tag);
  if (retiring_.contains(x.consumer))
    deliveries_.pause({life, x.tag}, {x.consumer, verdict::release});
  else
    settle({life, x.tag}, x.consumer, verdict::release);
}

// Skipped by the link, which cannot take it. A strategy that follows its streams sees the
// gap with the next message.
void dispatcher_state::settle_unreadable(delivery_key key, const amqp::delivery& x,
                                         consumer& from) {
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
void dispatcher_state::settle_poison(delivery_key key, amqp::consumer_id id,
                                     const std::exception_ptr& what) {
  ++counters_.malformed;
  log_repeated(log_level::error, "cannot be dispatched", "",
               "a message is rejected, as it cannot be dispatched: " + text_of(what));
  settle(key, id, verdict::reject);
}

// Of a queue that is kept it is not ours to drop: another process may want it, or a
// strategy that will be back.
void dispatcher_state::settle_unmatched(delivery_key key, amqp::delivery& x, consumer& from) {
  using fate = unmatched_messages::fate;
  ++counters_.unmatched;
  if (!gives_back_unmatched(from.what))
    return settle(key, x.consumer, verdict::ack);
  const auto what = from.unmatched.judge(x, has_dead_letters(from.what));
  if (!std::exchange(from.told_unmatched, true))
    log(log_level::warning,
        fmt::format("queue '{}': no handler here is for {}:{}: it goes back for whoever wants it, "
                    "and so does each like it",
                    from.queue_name, x.exchange, x.routing_key));
  const auto consumer = x.consumer;
  // Soon enough for it to be there when it is needed.
  if (x.redelivered && !from.sets_aside_since) {
    from.sets_aside_since = now_;
    want(consumer, from, handlers_.at(from.members.front()).what);
  }
  if (what.what == fate::release)
    return settle(key, consumer, verdict::release);
  if (what.what == fate::dead_letter) {
    ++counters_.dead_lettered;
    return send_copy(
        key, consumer,
        unmatched_copy_for(dead_letter_queue_name(from.queue), std::move(x), what.round));
  }
  send_copy(key, consumer,
            unmatched_copy_for(unmatched_queue_name(from.queue), std::move(x), what.round));
}

// Gives back whether the handler is for it.
bool dispatcher_state::dispatch_to(handler& to, const amqp::delivery& x, const caf::message& what,
                                   delivery_key key, open_delivery& open) {
  if (!wants(to.what, what)) {
    pass_over(to, x);
    return false;
  }
  const auto on_success = to.what.ack == ack_policy::on_success;
  if (on_success && (!to.held.empty() || !to.breaker.lets_pass(now_))) {
    hold(to, x, what, key, open);
    return true;
  }
  const auto place = follow_stream(to, x);
  if (place == stream_tracker::verdict::handled) {
    ++to.counters.duplicates;
  } else if (place == stream_tracker::verdict::in_hand) {
    // Needed only if the first one fails: it gets that one's verdict.
    open.following.push_back(to.counters.id);
    deliveries_.follow(to.counters.id, {x.exchange, x.routing_key, x.properties.position}, key);
  } else if (on_success) {
    ask(to, x, what, key, open);
  } else {
    to.streams.handled(x.exchange, x.routing_key, x.properties.position);
    hand_over(to, x, what);
  }
  return true;
}

void dispatcher_state::hold_for(const std::vector<subscription_id>& places, const amqp::delivery& x,
                                delivery_key key, open_delivery& open) {
  for (auto id : places) {
    auto& place = handlers_.at(id);
    auto& message = decoder_.get(place.what.codec);
    if (message && wants(place.what, *message))
      hold(place, x, *message, key, open);
  }
}

// It is in its place, but not for this handler.
void dispatcher_state::pass_over(handler& to, const amqp::delivery& x) {
  if (follow_stream(to, x) == stream_tracker::verdict::fresh)
    to.streams.handled(x.exchange, x.routing_key, x.properties.position);
}

// It cannot be read as what this handler wants.
void dispatcher_state::skip(handler& to, const amqp::delivery& x) {
  ++to.counters.failed;
  if (follow_stream(to, x) == stream_tracker::verdict::fresh)
    to.streams.failed(x.exchange, x.routing_key, x.properties.position);
}

stream_tracker::verdict dispatcher_state::follow_stream(handler& to, const amqp::delivery& x) {
  const auto& what = to.what;
  if (!what.stream_events && !(what.deduplicate && x.properties.position))
    return stream_tracker::verdict::fresh;
  auto arrival = to.streams.arrived(x.exchange, x.routing_key, x.properties.position, now_);
  if (what.stream_events)
    for (auto& notice : arrival.before)
      append(to.arriving, std::move(notice));
  if (to.window.waiting() == 0) // else they would overtake what waits
    tell(to, to.arriving);
  return what.deduplicate ? arrival.what : stream_tracker::verdict::fresh;
}

void dispatcher_state::report_malformed(const amqp::delivery& x, const consumer& from,
                                        const caf::error& reason) {
  ++counters_.malformed;
  log_repeated(log_level::warning, "malformed", from.queue_name,
               fmt::format("queue '{}': message from {}:{} dropped: {}", from.queue_name,
                           x.exchange, x.routing_key, text_of(reason)));
}

// -- to a strategy, on dispatch ---------------------------------------------------------

void dispatcher_state::hand_over(handler& to, const amqp::delivery& x, const caf::message& what) {
  offer added{what, std::exchange(to.arriving, {}), {}};
  if (to.what.stream_events && x.properties.position) {
    const auto sequence = x.properties.position->sequence;
    added.self = stream_gap{x.exchange, x.routing_key, sequence, sequence};
  }
  std::string key;
  if (to.what.window.policy == delivery_policy::latest_per_key)
    key = conflation_key(x, to.what.codec, what);
  if (auto dropped = to.window.push(key, std::move(added)))
    on_dropped(to, std::move(*dropped));
  pump(to);
}

// A strategy that follows its streams is told of what it did not get for being
// slow as well; not of what a newer event of the same key has replaced.
void dispatcher_state::on_dropped(handler& to, offer dropped) {
  if (to.window.drops().total() == 1)
    log(log_level::warning,
        fmt::format("the strategy that subscribed {} is slower than its events: {}, {} wait",
                    to_string(to.what), to_string(to.what.window.policy), to.window.waiting()));
  const auto policy = to.what.window.policy;
  auto& notices = policy == delivery_policy::drop_newest ? to.arriving : to.overdue;
  for (auto& notice : dropped.before)
    append(notices, std::move(notice));
  if (dropped.self && policy != delivery_policy::latest_per_key)
    append(notices, std::move(*dropped.self));
}

void dispatcher_state::pump(handler& to) {
  while (auto item = to.window.next(now_)) {
    tell(to, to.overdue);
    tell(to, item->what.before);
    send(to, std::move(*item));
  }
}

void dispatcher_state::send(handler& to, delivery_window<offer>::item x) {
  ++to.counters.delivered;
  if (x.mark == 0)
    return self_->send(to.subscriber, std::move(x.what.what));
  schedule_tick();
  self_->request(to.subscriber, caf::infinite, std::move(x.what.what))
      .then(guarded(*this, [this, id = to.counters.id, mark = x.mark] { on_mark(id, mark, {}); }),
            guarded(*this, [this, id = to.counters.id, mark = x.mark](const caf::error& err) {
              on_mark(id, mark, err);
            }));
}

void dispatcher_state::tell(const handler& to, std::vector<stream_notice>& notices) {
  for (auto& notice : std::exchange(notices, {}))
    std::visit([&](auto& x) { self_->send(to.subscriber, std::move(x)); }, notice);
}

// A handler on dispatch failed with an event that is no mark: nothing depends on
// its answer, but somebody may want to know.
void dispatcher_state::on_unasked_error(const caf::error& reason) {
  auto who = subscribers_.find(caf::actor_cast<caf::actor_addr>(self_->current_sender()));
  if (who == subscribers_.end())
    return;
  for (auto id : who->second) {
    auto& x = handlers_.at(id);
    if (x.what.ack == ack_policy::on_dispatch)
      return count_failure(x, reason);
  }
}

void dispatcher_state::count_failure(handler& x, const caf::error& reason) {
  ++x.counters.failed;
  log_repeated(log_level::warning, "handler failed", to_string(x.what),
               fmt::format("handler of {} failed: {}", to_string(x.what), text_of(reason)));
}

} // namespace actors
