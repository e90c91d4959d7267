#include <caf/sec.hpp>
#include <fmt/core.h>

#include "actors/error.hpp"
#include "actors/logging.hpp"
#include "delivery/consumer_ids.hpp"
#include "delivery/retry.hpp"
#include "dispatch/dispatching.hpp"
#include "runtime/repeated_log.hpp"
#include "settings/subscription_queues.hpp"

// This file has the strategies' answers, and the end of each delivery.

namespace actors {

namespace {

using namespace std::chrono_literals;

/// A message that goes back to its queue once more goes back after this pause.
constexpr auto requeue_pause = 1s;

/// A message of which no copy can be made waits for this time before it goes back to its queue.
constexpr auto uncopied_pause = 1min;

/// Time limits and silent streams are checked at this interval.
constexpr auto tick_interval = 250ms;

using verdict = ack_window::verdict;

/// Returns the verdict that a handler's answer means for its message.
verdict verdict_of(const caf::error& err) noexcept {
  // CAF reports an answer that `then` does not expect as an error; here, any answer means that the
  // handler has returned.
  if (!err || err == caf::sec::unexpected_response)
    return verdict::ack;
  // The strategy ended before it came to this message.
  if (err == caf::sec::request_receiver_down)
    return verdict::release;
  // A strategy without a handler for the event has none the next time either.
  return err == caf::sec::unexpected_message ? verdict::reject : verdict::requeue;
}

bool is_failure(verdict x) noexcept {
  return x == verdict::requeue || x == verdict::reject;
}

/// Whether every broker would refuse a copy that is refused with this code.
bool is_for_good(ec x) noexcept {
  return x == ec::limit_exceeded || x == ec::content_too_large || x == ec::invalid_argument;
}

/// Whether other messages still come while this many are not settled.
bool has_room_beside(const shared_consumer& from, std::size_t unsettled) noexcept {
  const auto prefetch = from.spec.prefetch_count;
  return prefetch == 0 || unsettled < prefetch;
}

/// Whether a message that its strategy does not handle is kept for another strategy.
bool waits_for_others(const subscription& x) noexcept {
  return x.error == error_policy::requeue && gives_back_unmatched(x);
}

} // namespace

// -- to a strategy, on success ------------------------------------------------------------

void dispatching::ask(event_handler& to, const caf::message& event, delivery_key key,
                      const origin_ptr& from) {
  question about{key, to.id(), from, to.breaker.passed(now_, to.spec.time_limit)};
  ++to.counters.delivered;
  ++to.counters.in_flight;
  door_->ask(to.subscriber, event, std::move(about));
}

void dispatching::on_answer(const question& to, const caf::error& err) {
  auto outcome = verdict_of(err);
  const auto error = is_failure(outcome) ? text_of(err) : std::string{};
  if (auto* handler = table_.find(to.id)) {
    outcome = take_answer(*handler, to, err, outcome);
    // A late answer does not settle the delivery: the time limit has done so.
    const auto late = handler->expired_deliveries.erase(to.key) > 0;
    if (!late)
      count(*handler, err);
    if (to.from && (!late || outcome == verdict::ack))
      settle_followers(to.id, to.from, outcome, error);
    if (late)
      return continue_handing_over(to.id);
  }
  if (auto done = deliveries_.answered(to.key, to.id, outcome, error))
    finish(to.key, *done);
  continue_handing_over(to.id);
  continue_drain();
}

// Returns the verdict that the subscription's error policy makes of the outcome.
ack_window::verdict dispatching::take_answer(event_handler& handler, const question& to,
                                             const caf::error& err, verdict outcome) {
  handler.breaker.answered(to.number);
  const auto unwanted = err == caf::sec::unexpected_message && waits_for_others(handler.spec);
  const auto again = outcome == verdict::requeue || outcome == verdict::release || unwanted;
  if (to.from && again)
    handler.streams.failed(to.from->exchange, to.from->routing_key, to.from->position);
  else if (to.from)
    handler.streams.handled(to.from->exchange, to.from->routing_key, to.from->position);
  if (unwanted) {
    deliveries_.unwanted(to.key);
    return verdict::ack;
  }
  return outcome == verdict::requeue && handler.spec.error == error_policy::reject ? verdict::reject
                                                                                   : outcome;
}

void dispatching::continue_handing_over(subscription_id id) {
  auto* handler = table_.find(id);
  if (!handler || handler->held.empty())
    return;
  now_ = door_->now();
  deliver_held(*handler);
}

// Copies of a message arise when the broker delivers it again, e.g. because the link fell while the
// handler was busy.
void dispatching::settle_followers(subscription_id id, const origin_ptr& from, verdict outcome,
                                   const std::string& error) {
  for (auto& copy : deliveries_.take_followers(id, *from)) {
    if (auto* handler = table_.find(id); outcome == verdict::ack && handler)
      ++handler->counters.duplicates;
    if (auto done = deliveries_.followed(copy, id, outcome, error))
      finish(copy, *done);
  }
}

void dispatching::count(event_handler& handler, const caf::error& err) {
  --handler.counters.in_flight;
  const auto outcome = verdict_of(err);
  ++(outcome == verdict::ack ? handler.counters.succeeded : handler.counters.failed);
  if (outcome == verdict::requeue)
    report_failure(handler, err, to_string(handler.spec.error));
  else if (outcome == verdict::reject)
    report_failure(handler, err,
                   waits_for_others(handler.spec) ? "messages go back for whoever has one"
                                                  : "messages are rejected");
  if (handler.removed && handler.counters.in_flight == 0)
    forget(handler.id());
}

// All events up to the mark have been handled: there is room for more.
void dispatching::on_mark(subscription_id id, std::uint64_t mark, const caf::error& err) {
  auto* handler = table_.find(id);
  if (!handler)
    return;
  if (verdict_of(err) != verdict::ack)
    count_failure(*handler, err);
  now_ = door_->now();
  handler->window.handled(mark);
  pump(*handler);
  continue_drain();
}

// -- what is held for a strategy that is away or late ----------------------------------------

// Held messages go out in the order of their arrival; a late strategy gets one of them as a try.
void dispatching::deliver_held(event_handler& to) {
  while (!to.held.empty() && to.breaker.lets_pass(now_)) {
    const auto first = to.held.extract(to.held.begin());
    deliver_held(to, first.key(), first.mapped());
  }
}

void dispatching::deliver_held(event_handler& to, delivery_key key, const held_message& message) {
  const auto id = to.id();
  const auto place = arrive(to, message.about);
  if (place == stream_tracker::verdict::fresh)
    return ask(to, message.event, key, origin_of(message.about));
  if (place == stream_tracker::verdict::in_hand)
    return deliveries_.follow(id, *origin_of(message.about), key);
  ++to.counters.duplicates;
  if (auto done = deliveries_.answered(key, id, verdict::ack, {}))
    finish(key, *done);
}

void dispatching::answer_held(event_handler& to, verdict outcome) {
  for (auto& [key, message] : std::exchange(to.held, {}))
    if (auto done = deliveries_.answered(key, to.id(), outcome, {}))
      finish(key, *done);
}

// The message has waited for as long as a handler may take, and was not handled. That is no failure
// of the message, and other consumers may be less late. In a stream no other consumer waits for it.
void dispatching::give_back_held(event_handler& to, delivery_key key) {
  if (to.spec.kind == queue_kind::stream)
    return;
  to.held.erase(key);
  if (auto done = deliveries_.answered(key, to.id(), verdict::release, {}))
    finish(key, *done);
}

// -- places that are kept ---------------------------------------------------------------------

void dispatching::drop_places(const shared_consumer& from, verdict outcome) {
  for (auto id : table_.places(from)) {
    answer_held(table_.at(id), outcome);
    table_.drop_place(id);
  }
}

// Returns whether any place is still kept.
bool dispatching::drop_late_places() {
  std::vector<subscription_id> late;
  auto kept = false;
  for (auto& [id, handler] : table_.handlers()) {
    if (handler.removed || handler.subscriber != 0)
      continue;
    if (handler.kept_until <= now_)
      late.push_back(id);
    else
      kept = true;
  }
  for (auto id : late) {
    answer_held(table_.at(id), verdict::ack);
    table_.drop_place(id);
  }
  return kept;
}

// -- time -------------------------------------------------------------------------------------

void dispatching::schedule_tick() {
  if (!std::exchange(tick_scheduled_, true))
    door_->tick_after(tick_interval);
}

void dispatching::on_tick() {
  tick_scheduled_ = false;
  now_ = door_->now();
  give_up_answers();
  auto goes_on = drop_late_places() || deliveries_.awaits_answers();
  for (auto& [id, handler] : table_.handlers()) {
    if (handler.removed || handler.subscriber == 0)
      continue; // no strategy is there to be told
    give_up_marks(handler);
    deliver_held(handler);
    if (handler.spec.stale_after.count() > 0)
      for (auto& notice : handler.streams.stale(now_, handler.spec.stale_after))
        door_->send(handler.subscriber, caf::make_message(std::move(notice)));
    goes_on = goes_on || handler.window.in_hand() > 0 || handler.spec.stale_after.count() > 0;
  }
  if (goes_on)
    schedule_tick();
}

// A handler that neither answers nor ends must not hold a message for ever. Its time limit also
// runs while the link is down.
void dispatching::give_up_answers() {
  auto limit_of = [this](subscription_id id) {
    auto& handler = table_.at(id);
    return handler.subscriber != 0 ? handler.spec.time_limit : std::chrono::milliseconds{0};
  };
  for (auto& answer : deliveries_.late(now_, limit_of)) {
    auto& handler = table_.at(answer.id);
    if (handler.held.contains(answer.key)) {
      give_back_held(handler, answer.key);
      continue;
    }
    ++handler.counters.timed_out;
    handler.breaker.late();
    on_answer({answer.key, answer.id, answer.from},
              make_error(ec::handler_timeout,
                         fmt::format("no answer within {} ms", handler.spec.time_limit.count())));
    if (auto* late = table_.find(answer.id))
      late->expired_deliveries.insert(answer.key);
  }
}

void dispatching::give_up_marks(event_handler& handler) {
  if (handler.spec.time_limit.count() == 0)
    return;
  const auto late = handler.window.give_up(now_ - handler.spec.time_limit);
  if (late == 0)
    return;
  handler.counters.timed_out += late;
  log_repeated(log_level::warning, "no answer", to_string(handler.spec),
               fmt::format("the strategy that subscribed {} has not answered within {} "
                           "ms: it gets more all the same",
                           to_string(handler.spec), handler.spec.time_limit.count()));
  pump(handler);
}

// -- a message's end ----------------------------------------------------------------------------

// A message that goes back again and again goes back after a pause, or it would keep the broker,
// this process and the log busy.
void dispatching::finish(delivery_key key, open_delivery& delivery) {
  if (delivery.outcome == verdict::ack)
    return delivery.asked > 0 && delivery.unwanted == delivery.asked
               ? settle_unwanted(key, delivery)
               : settle(key, delivery.consumer, verdict::ack);
  if (delivery.plan && !delivery.error.empty())
    return move(key, delivery);
  if (delivery.pause && delivery.outcome != verdict::reject)
    return pause(key, {delivery.consumer, delivery.outcome}, requeue_pause);
  settle(key, delivery.consumer, delivery.outcome);
}

// No strategy that was asked has a handler for the message. A message that came for the first time
// goes back: if it comes again, no other consumer wants it either.
void dispatching::settle_unwanted(delivery_key key, open_delivery& delivery) {
  auto* from = table_.find_consumer(delivery.consumer);
  if (from && delivery.original)
    return settle_unmatched(key, *delivery.original, *from);
  ++counters_.unmatched;
  settle(key, delivery.consumer, verdict::release);
}

void dispatching::pause(delivery_key key, open_deliveries::paused_delivery paused,
                        std::chrono::milliseconds time) {
  deliveries_.pause(key, std::move(paused));
  door_->pause(key, time);
}

void dispatching::on_pause_over(delivery_key key) {
  if (const auto paused = deliveries_.resume(key))
    settle(key, paused->consumer, paused->outcome);
}

// The copy goes to the retries or to the dead letters.
void dispatching::move(delivery_key key, open_delivery& delivery) {
  const auto attempts = attempts_of(delivery.original->properties) + 1;
  const auto& plan = *delivery.plan;
  const auto again = plan.policy == error_policy::retry && delivery.outcome == verdict::requeue
                     && attempts <= plan.retry.max_retries;
  auto queue = again ? retry_queue_name(plan.queue, delay_of(plan.retry, attempts))
                     : dead_letter_queue_name(plan.queue);
  if (!again)
    log_repeated(log_level::error, "dead letter", queue,
                 fmt::format("message from {}:{} goes to the dead letters '{}': {}",
                             delivery.original->exchange, delivery.original->routing_key, queue,
                             delivery.error));
  using goal = open_deliveries::moving_delivery::goal;
  send_copy(key, {delivery.consumer, again ? goal::retries : goal::dead_letters},
            copy_for(std::move(queue), std::move(*delivery.original), attempts, delivery.error));
}

// The original is acknowledged when the broker has the copy: if this process dies in between, the
// message exists twice.
void dispatching::send_copy(delivery_key key, open_deliveries::moving_delivery moving,
                            amqp::publication copy) {
  deliveries_.move(key, moving);
  door_->publish(std::move(copy), key);
}

void dispatching::on_moved(delivery_key key, const caf::error& err) {
  const auto moved = deliveries_.moved(key);
  if (!moved)
    return;
  const auto consumer = moved->consumer;
  if (!err) {
    count(moved->to);
    settle(key, consumer, verdict::ack);
  } else if (is_for_good(code_of(err))) {
    settle_uncopied(key, consumer, err);
  } else if (awaits_queue_beside(consumer)) {
    settle(key, consumer, verdict::release);
  } else {
    log_repeated(log_level::warning, "copy not sent", to_string(code_of(err)),
                 "a message goes back to its queue, as its copy could not be sent to "
                 "the retries or dead letters: "
                     + text_of(err));
    pause(key, {consumer, verdict::release}, requeue_pause);
  }
  continue_drain();
}

void dispatching::count(open_deliveries::moving_delivery::goal to) noexcept {
  using goal = open_deliveries::moving_delivery::goal;
  if (to == goal::retries)
    ++counters_.retried;
  else if (to == goal::dead_letters)
    ++counters_.dead_lettered;
}

// The message must hold up nobody: it waits here as long as the prefetch count has room for others.
// The broker's own dead letters have no limit that would refuse it.
void dispatching::settle_uncopied(delivery_key key, amqp::consumer_id id, const caf::error& why) {
  const auto* from = table_.find_consumer(id);
  if (!from)
    return settle(key, id, verdict::release);
  const auto dead_letters = has_dead_letters(from->spec);
  const auto waits = !dead_letters && has_room_beside(*from, deliveries_.uncopied(id) + 1);
  const auto* fate = waits          ? "waits for another consumer"
                     : dead_letters ? "is rejected, and goes to the broker's dead letters"
                                    : "is rejected, and is lost without dead letters";
  log_repeated(
      log_level::error, "copy never sent", from->queue_name + fate,
      fmt::format("queue '{}': a message {}, as its copy for the retries, the dead letters "
                  "or the messages without a handler can never be sent: {}",
                  from->queue_name, fate, text_of(why)));
  if (waits)
    pause(key, {id, verdict::release, true}, uncopied_pause);
  else
    settle(key, id, verdict::reject);
}

// The companion queue was asked for a moment ago. The message goes back without a pause, as one
// paused message would hold up all others.
bool dispatching::awaits_queue_beside(amqp::consumer_id id) {
  const auto* consumer = table_.find_consumer(id);
  return consumer && consumer->sets_aside_since
         && door_->now() - *consumer->sets_aside_since < requeue_pause;
}

// The call is of no effect for deliveries of a no_ack consumer: they were never open.
void dispatching::settle(delivery_key key, amqp::consumer_id id, verdict outcome) {
  if (!deliveries_.settle(key, id, outcome))
    return;
  if ((outcome == verdict::requeue || outcome == verdict::release) && !reads_stream(id))
    ++counters_.requeued;
  schedule_flush();
}

// The flush comes behind the answers that wait already, so that many verdicts become few
// acknowledgements.
void dispatching::schedule_flush() {
  if (!std::exchange(flush_scheduled_, true))
    door_->flush_soon();
}

void dispatching::on_flush() {
  flush_scheduled_ = false;
  flush();
}

void dispatching::flush() {
  deliveries_.flush([](amqp::link_sender& out, std::uint32_t generation,
                       std::vector<amqp::settlement> settlements) {
    out.settle(generation, std::move(settlements));
  });
}

} // namespace actors
