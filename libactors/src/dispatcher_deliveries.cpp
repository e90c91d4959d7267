#include <algorithm>

#include <caf/sec.hpp>
#include <fmt/core.h>

#include "actors/dispatcher.hpp"
#include "actors/error.hpp"
#include "actors/logging.hpp"
#include "dispatcher_wake_up.hpp"

// A delivery's way through the dispatcher: in, to the strategies, and its end.

namespace actors {

namespace {

using namespace std::chrono_literals;

/// Before a message goes back to its queue for another time.
constexpr auto requeue_pause = 1s;

/// How often time limits and silent streams are looked at.
constexpr auto tick_interval = 250ms;

using verdict = ack_window::verdict;

/// What a handler's answer means for its message.
verdict verdict_of(const caf::error& x) noexcept {
  // CAF reports an answer that `then` has no handler for as an error of its
  // own; to us any answer means that the handler has returned.
  if (!x || x == caf::sec::unexpected_response)
    return verdict::ack;
  // A strategy without a handler for the event has none the next time either.
  return x == caf::sec::unexpected_message ? verdict::reject : verdict::requeue;
}

/// The verdict on a message that two handlers answered differently: whoever
/// needs it again gets it again.
verdict stronger(verdict x, verdict y) noexcept {
  if (x == verdict::requeue || y == verdict::requeue)
    return verdict::requeue;
  return x == verdict::reject ? x : y;
}

std::optional<std::int64_t> stream_offset(const amqp::properties& x) noexcept {
  for (auto& [name, value] : x.headers)
    if (name == "x-stream-offset")
      if (auto offset = std::get_if<std::int64_t>(&value))
        return *offset;
  return std::nullopt;
}

/// What `delivery_policy::latest_per_key` keeps one of: klines of one routing key
/// have several types.
std::string conflation_key(const amqp::delivery& x, const event_codec& codec,
                           const caf::message& what) {
  auto result = x.routing_key;
  if (codec.kline_type) {
    result += '\n';
    result += codec.kline_type(what);
  }
  return result;
}

} // namespace

// -- a message comes in -------------------------------------------------------------------

void dispatcher_state::on_deliveries(delivery_batch& batch) {
  open_window(batch);
  now_ = self_->clock().now();
  // One flush at the end does for all of them.
  const auto scheduled = std::exchange(flush_scheduled_, true);
  {
    dispatcher_wake_up later{*self_};
    for (auto& x : batch.items)
      dispatch(x);
    flush();
  }
  flush_scheduled_ = scheduled;
}

void dispatcher_state::open_window(const delivery_batch& batch) {
  if (out_ == batch.out && incarnation_ == batch.incarnation)
    return;
  out_ = batch.out;
  incarnation_ = batch.incarnation;
  ++life_;
  window_ = ack_window{};
  unanswered_.clear();
  paused_.clear();
  moving_.clear();
}

void dispatcher_state::dispatch(amqp::delivery& x) {
  ++counters_.received;
  auto i = consumers_.find(x.consumer);
  if (i == consumers_.end())
    return settle_unknown(x);
  auto& from = i->second;
  if (draining_ && !from.what.no_ack)
    return settle_unknown(x);
  if (!from.what.no_ack)
    window_.open(x.tag);
  restore_origin(x);
  auto& ids = from.handlers.match(x.exchange, x.routing_key);
  if (ids.empty()) {
    ++counters_.unmatched;
    return settle(x.tag, x.consumer, verdict::ack);
  }
  const auto tag = x.tag;
  unanswered open;
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
  decoded_.clear();
  opened_ = false;
  unreadable_ = {};
  for (auto id : ids) {
    auto& to = handlers_.at(id);
    auto& message = message_for(to.what.codec, x, from);
    if (!message) {
      malformed = message.error();
      if (unreadable_)
        continue; // nobody's failure
      ++to.counters.failed;
      follow_stream(to, x);
      continue;
    }
    readable = true;
    dispatch_to(to, x, *message, open);
  }
  if (malformed)
    report_malformed(x, from, malformed);
  if (!readable) {
    open.outcome = stronger(open.outcome, verdict::reject);
    open.error = text_of(malformed);
  }
  if (open.plan)
    open.original = std::move(x);
  if (open.waiting.empty())
    return finish(tag, open);
  unanswered_.emplace(tag, std::move(open));
  schedule_tick();
}

// A consumer that was cancelled while this was on its way: back to its queue, for
// others; once the consumer has ended, as it would only get it again.
void dispatcher_state::settle_unknown(const amqp::delivery& x) {
  ++counters_.unmatched;
  if (is_no_ack(x.consumer))
    return;
  window_.open(x.tag);
  if (retiring_.contains(x.consumer))
    paused_.emplace(x.tag, x.consumer);
  else
    settle(x.tag, x.consumer, verdict::requeue);
}

// All at once: they take their places in the queue again.
void dispatcher_state::give_back_paused(amqp::consumer_id id) {
  std::erase_if(paused_, [&](auto& entry) {
    if (entry.second == id)
      settle(entry.first, id, verdict::requeue);
    return entry.second == id;
  });
  flush();
}

/// The message in the form that a handler wants; made once for all who want the same.
const caf::expected<caf::message>& dispatcher_state::message_for(const event_codec& codec,
                                                                 const amqp::delivery& x,
                                                                 const consumer& from) {
  auto known = std::find_if(decoded_.begin(), decoded_.end(),
                            [&](const decoded& y) { return y.codec == codec; });
  if (known != decoded_.end())
    return known->message;
  auto make = [&]() -> caf::expected<caf::message> {
    if (codec.raw)
      return caf::make_message(x);
    if (!std::exchange(opened_, true))
      unreadable_ = open_body(x, from);
    if (unreadable_)
      return unreadable_;
    return decode(codec);
  };
  return decoded_.emplace_back(decoded{codec, make()}).message;
}

caf::error dispatcher_state::open_body(const amqp::delivery& x, const consumer& from) {
  auto parts = decoder_.open(x.body);
  if (!parts)
    return std::move(parts.error());
  checked_ = parts->checked;
  received_ = {.name = parts->name,
               .data = parts->data,
               .max_depth = settings_.limits.max_depth - 1, // the event's own object is one
               .exchange = x.exchange,
               .queue = from.queue_name,
               .routing_key = x.routing_key,
               .prefetch_count = from.what.prefetch_count};
  return {};
}

caf::expected<caf::message> dispatcher_state::decode(const event_codec& codec) {
  auto make = [&]() -> caf::expected<caf::message> {
    if (!codec.name.empty() && codec.name != received_.name)
      return make_error(ec::unexpected_event, fmt::format("event '{}' where '{}' is expected",
                                                          received_.name, codec.name));
    return codec.decode(received_);
  };
  auto message = make();
  if (message || checked_)
    return message;
  // The parts were found by a shortcut: look closely before giving up.
  auto parts = decoder_.check();
  checked_ = true;
  if (!parts)
    return std::move(parts.error());
  received_.name = parts->name;
  received_.data = parts->data;
  return make();
}

bool dispatcher_state::wants(const handler& x, const caf::message& what) {
  auto& type = x.what.kline_type;
  return type.empty() || x.what.codec.kline_type(what) == type;
}

void dispatcher_state::dispatch_to(handler& to, const amqp::delivery& x, const caf::message& what,
                                   unanswered& open) {
  const auto place = follow_stream(to, x);
  if (place == stream_tracker::verdict::handled) {
    ++to.counters.duplicates;
  } else if (place == stream_tracker::verdict::in_hand) {
    // Needed only if the first one fails: ask again later.
    open.outcome = verdict::requeue;
    open.pause = true;
  } else if (to.what.ack == ack_policy::on_success && wants(to, what)) {
    ask(to, x, what, open);
  } else {
    to.streams.handled(x.exchange, x.routing_key, x.properties.position);
    if (wants(to, what))
      hand_over(to, x, what);
  }
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
  log(log_level::warning, fmt::format("queue '{}': message from {}:{} dropped: {}", from.queue_name,
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
      .then([this, id = to.counters.id, mark = x.mark] { on_mark(id, mark, {}); },
            [this, id = to.counters.id, mark = x.mark](const caf::error& err) {
              on_mark(id, mark, err);
            });
}

// All up to this one have been handled: there is room for more.
void dispatcher_state::on_mark(subscription_id id, std::uint64_t mark, const caf::error& err) {
  auto i = handlers_.find(id);
  if (i == handlers_.end())
    return;
  auto& x = i->second;
  if (verdict_of(err) != verdict::ack)
    count_failure(x, err);
  now_ = self_->clock().now();
  x.window.handled(mark);
  pump(x);
  continue_drain();
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
  log(log_level::warning,
      fmt::format("handler of {} failed: {}", to_string(x.what), text_of(reason)));
}

// -- to a strategy, on success ------------------------------------------------------------

void dispatcher_state::ask(handler& to, const amqp::delivery& x, const caf::message& what,
                           unanswered& open) {
  const auto id = to.counters.id;
  ++to.counters.delivered;
  ++to.counters.in_flight;
  open.waiting.push_back(id);
  origin_ptr from;
  if (x.properties.position)
    from = std::make_shared<const origin>(origin{x.exchange, x.routing_key, x.properties.position});
  open.from = from;
  self_->request(to.subscriber, caf::infinite, what)
      .then([=, this, life = life_, tag = x.tag] { on_answer(life, tag, id, from, {}); },
            [=, this, life = life_, tag = x.tag](const caf::error& err) {
              on_answer(life, tag, id, from, err);
            });
}

void dispatcher_state::on_answer(std::uint64_t life, std::uint64_t tag, subscription_id id,
                                 const origin_ptr& from, const caf::error& err) {
  auto outcome = verdict_of(err);
  // Its strategy ended before it came to this message.
  const auto unhandled = err == caf::sec::request_receiver_down;
  if (auto x = handlers_.find(id); x != handlers_.end()) {
    auto& streams = x->second.streams;
    if (from && outcome == verdict::requeue)
      streams.failed(from->exchange, from->routing_key, from->position);
    else if (from)
      streams.handled(from->exchange, from->routing_key, from->position);
    if (outcome == verdict::requeue && x->second.what.error == error_policy::reject && !unhandled)
      outcome = verdict::reject;
    if (x->second.given_up.erase({life, tag}) > 0)
      return; // too late for anything else
    count(x->second, err);
  }
  if (life != life_)
    return;
  auto i = unanswered_.find(tag);
  if (i == unanswered_.end())
    return;
  auto& open = i->second;
  if (std::erase(open.waiting, id) == 0)
    return;
  open.outcome = stronger(open.outcome, outcome);
  if (outcome != verdict::ack && !unhandled)
    open.error = text_of(err);
  if (!open.waiting.empty())
    return;
  auto done = std::move(open);
  unanswered_.erase(i);
  finish(tag, done);
  continue_drain();
}

void dispatcher_state::count(handler& x, const caf::error& err) {
  --x.counters.in_flight;
  const auto outcome = verdict_of(err);
  ++(outcome == verdict::ack ? x.counters.succeeded : x.counters.failed);
  if (outcome == verdict::requeue)
    log(log_level::warning, fmt::format("handler of {} failed ({}): {}", to_string(x.what),
                                        to_string(x.what.error), text_of(err)));
  else if (outcome == verdict::reject)
    log(log_level::error, fmt::format("the strategy that subscribed {} has no handler for its "
                                      "events: message rejected",
                                      to_string(x.what)));
  if (x.removed && x.counters.in_flight == 0)
    forget(x.counters.id);
}

// -- time -------------------------------------------------------------------------------------

void dispatcher_state::schedule_tick() {
  if (tick_scheduled_ || !needs_tick())
    return;
  tick_scheduled_ = true;
  self_->delayed_send(self_, tick_interval, tick_atom_v);
}

bool dispatcher_state::needs_tick() const {
  return !unanswered_.empty() || std::any_of(handlers_.begin(), handlers_.end(), [](auto& x) {
    return x.second.window.in_hand() > 0 || x.second.what.stale_after.count() > 0;
  });
}

void dispatcher_state::on_tick() {
  tick_scheduled_ = false;
  now_ = self_->clock().now();
  give_up_answers();
  for (auto& [id, x] : handlers_) {
    give_up_marks(x);
    if (x.what.stale_after.count() > 0)
      for (auto& notice : x.streams.stale(now_, x.what.stale_after))
        self_->send(x.subscriber, std::move(notice));
  }
  schedule_tick();
}

// A handler that neither answers nor ends must not hold a message for ever.
void dispatcher_state::give_up_answers() {
  struct late_answer {
    std::uint64_t tag;
    subscription_id id;
    origin_ptr from;
  };
  std::vector<late_answer> late;
  for (auto& [tag, open] : unanswered_)
    for (auto id : open.waiting) {
      const auto limit = handlers_.at(id).what.time_limit;
      if (limit.count() > 0 && now_ - open.since >= limit)
        late.push_back({tag, id, open.from});
    }
  for (auto& x : late) {
    auto& handler = handlers_.at(x.id);
    ++handler.counters.timed_out;
    on_answer(life_, x.tag, x.id, x.from,
              make_error(ec::handler_timeout,
                         fmt::format("no answer within {} ms", handler.what.time_limit.count())));
    if (auto i = handlers_.find(x.id); i != handlers_.end())
      i->second.given_up.emplace(life_, x.tag);
  }
}

void dispatcher_state::give_up_marks(handler& x) {
  if (x.what.time_limit.count() == 0)
    return;
  const auto late = x.window.give_up(now_ - x.what.time_limit);
  if (late == 0)
    return;
  x.counters.timed_out += late;
  log(log_level::warning, fmt::format("the strategy that subscribed {} has not answered within {} "
                                      "ms: it gets more all the same",
                                      to_string(x.what), x.what.time_limit.count()));
  pump(x);
}

// -- a message's end ----------------------------------------------------------------------------

// What goes back again and again goes back after a pause, or it would keep the
// broker, us and the log busy.
void dispatcher_state::finish(std::uint64_t tag, unanswered& x) {
  if (x.outcome == verdict::ack)
    return settle(tag, x.consumer, verdict::ack);
  if (x.plan && !x.error.empty())
    return move(tag, x);
  if (x.outcome == verdict::reject)
    return settle(tag, x.consumer, verdict::reject);
  if (x.pause)
    return pause(tag, x.consumer);
  settle(tag, x.consumer, verdict::requeue);
}

void dispatcher_state::pause(std::uint64_t tag, amqp::consumer_id id) {
  paused_.emplace(tag, id);
  self_->delayed_send(self_, requeue_pause, requeue_atom_v, life_, tag);
}

void dispatcher_state::on_requeue(std::uint64_t life, std::uint64_t tag) {
  if (life != life_)
    return;
  if (auto paused = paused_.extract(tag))
    settle(tag, paused.mapped(), verdict::requeue);
}

// Sends a copy to the retries or the dead letters. The original is acknowledged
// when the broker has the copy: if we die in between, there are two of it.
void dispatcher_state::move(std::uint64_t tag, unanswered& x) {
  const auto attempts = attempts_of(x.original->properties) + 1;
  const auto& plan = *x.plan;
  const auto again = plan.policy == error_policy::retry && x.outcome == verdict::requeue
                     && attempts <= plan.retry.max_retries;
  auto queue = again ? retry_queue_name(plan.queue, delay_of(plan.retry, attempts))
                     : dead_letter_queue_name(plan.queue);
  if (!again)
    log(log_level::error,
        fmt::format("message from {}:{} goes to the dead letters '{}': {}", x.original->exchange,
                    x.original->routing_key, queue, x.error));
  ++(again ? counters_.retried : counters_.dead_lettered);
  moving_.emplace(tag, x.consumer);
  self_
      ->request(supervisor_, caf::infinite, publish_atom_v,
                copy_for(std::move(queue), std::move(*x.original), attempts, x.error))
      .then([this, life = life_, tag](const published&) { on_moved(life, tag, {}); },
            [this, life = life_, tag](const caf::error& err) { on_moved(life, tag, err); });
}

void dispatcher_state::on_moved(std::uint64_t life, std::uint64_t tag, const caf::error& err) {
  if (life != life_)
    return;
  auto moved = moving_.extract(tag);
  if (moved.empty())
    return;
  if (!err) {
    settle(tag, moved.mapped(), verdict::ack);
  } else {
    log(log_level::warning, "a failed message goes back to its queue, as it could not be sent to "
                            "its retries or dead letters: "
                                + text_of(err));
    pause(tag, moved.mapped());
  }
  continue_drain();
}

// Of no effect for deliveries of a no_ack consumer: the window never saw them. A
// stream takes nothing back, and RabbitMQ ends the connection of whoever tries.
void dispatcher_state::settle(std::uint64_t tag, amqp::consumer_id id, verdict what) {
  if (reads_stream(id))
    what = verdict::ack;
  if (!window_.settle(tag, what))
    return;
  if (what == verdict::requeue)
    ++counters_.requeued;
  schedule_flush();
}

// One message to ourselves behind those that wait already: many answers become
// few acknowledgements.
void dispatcher_state::schedule_flush() {
  if (flush_scheduled_)
    return;
  flush_scheduled_ = true;
  self_->send(self_, flush_atom_v);
}

void dispatcher_state::on_flush() {
  flush_scheduled_ = false;
  flush();
}

void dispatcher_state::flush() {
  auto settlements = window_.flush();
  if (!settlements.empty())
    out_->settle(incarnation_, std::move(settlements));
}

} // namespace actors
