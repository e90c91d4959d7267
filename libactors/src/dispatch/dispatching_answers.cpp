#include <caf/sec.hpp>
#include <fmt/core.h>

#include "actors/error.hpp"
#include "actors/logging.hpp"
#include "delivery/consumer_ids.hpp"
#include "delivery/retry.hpp"
#include "dispatch/dispatching.hpp"
#include "runtime/repeated_log.hpp"
#include "settings/subscription_queues.hpp"

// What strategies answer, and what becomes of a delivery.

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
  // Its strategy ended before it came to this message.
  if (x == caf::sec::request_receiver_down)
    return verdict::release;
  // A strategy without a handler for the event has none the next time either.
  return x == caf::sec::unexpected_message ? verdict::reject : verdict::requeue;
}

bool is_failure(verdict x) noexcept {
  return x == verdict::requeue || x == verdict::reject;
}

/// Whether a copy that was refused like this is refused whoever is there.
bool is_for_good(ec x) noexcept {
  return x == ec::limit_exceeded || x == ec::content_too_large || x == ec::invalid_argument;
}

/// Whether what its strategy has no handler for is kept for whoever has.
bool waits_for_others(const subscription& x) noexcept {
  return x.error == error_policy::requeue && gives_back_unmatched(x);
}

} // namespace

// -- to a strategy, on success ------------------------------------------------------------

void dispatching::ask(event_handler& to, const caf::message& what, delivery_key key,
                      const origin_ptr& from) {
  question about{key, to.id(), from, to.breaker.passed(now_, to.spec.time_limit)};
  ++to.counters.delivered;
  ++to.counters.in_flight;
  door_->ask(to.subscriber, what, std::move(about));
}

void dispatching::on_answer(const question& to, const caf::error& err) {
  auto outcome = verdict_of(err);
  const auto error = is_failure(outcome) ? text_of(err) : std::string{};
  if (auto* x = table_.find(to.id)) {
    outcome = take_answer(*x, to, err, outcome);
    // Too late for anything else.
    const auto late = x->expired_deliveries.erase(to.key) > 0;
    if (!late)
      count(*x, err);
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

// Gives back what its policy makes of it.
ack_window::verdict dispatching::take_answer(event_handler& x, const question& to,
                                             const caf::error& err, verdict outcome) {
  x.breaker.answered(to.number);
  const auto unwanted = err == caf::sec::unexpected_message && waits_for_others(x.spec);
  const auto again = outcome == verdict::requeue || outcome == verdict::release || unwanted;
  if (to.from && again)
    x.streams.failed(to.from->exchange, to.from->routing_key, to.from->position);
  else if (to.from)
    x.streams.handled(to.from->exchange, to.from->routing_key, to.from->position);
  if (unwanted) {
    deliveries_.unwanted(to.key);
    return verdict::ack;
  }
  return outcome == verdict::requeue && x.spec.error == error_policy::reject ? verdict::reject
                                                                             : outcome;
}

void dispatching::continue_handing_over(subscription_id id) {
  auto* x = table_.find(id);
  if (!x || x->held.empty())
    return;
  now_ = door_->now();
  hand_over_held(*x);
}

// Copies of the same message, e.g. what the broker delivered again when the link fell
// while the handler was busy.
void dispatching::settle_followers(subscription_id id, const origin_ptr& from, verdict what,
                                   const std::string& error) {
  for (auto& copy : deliveries_.take_followers(id, *from)) {
    if (auto* x = table_.find(id); what == verdict::ack && x)
      ++x->counters.duplicates;
    if (auto done = deliveries_.followed(copy, id, what, error))
      finish(copy, *done);
  }
}

void dispatching::count(event_handler& x, const caf::error& err) {
  --x.counters.in_flight;
  const auto outcome = verdict_of(err);
  ++(outcome == verdict::ack ? x.counters.succeeded : x.counters.failed);
  if (outcome == verdict::requeue)
    log_repeated(log_level::warning, "handler failed", to_string(x.spec),
                 fmt::format("handler of {} failed ({}): {}", to_string(x.spec),
                             to_string(x.spec.error), text_of(err)));
  else if (outcome == verdict::reject)
    log_repeated(log_level::error, "no handler", to_string(x.spec),
                 fmt::format("the strategy that subscribed {} has no handler for its events: {}",
                             to_string(x.spec),
                             waits_for_others(x.spec) ? "they go back for whoever has"
                                                      : "message rejected"));
  if (x.removed && x.counters.in_flight == 0)
    forget(x.id());
}

// All up to this one have been handled: there is room for more.
void dispatching::on_mark(subscription_id id, std::uint64_t mark, const caf::error& err) {
  auto* x = table_.find(id);
  if (!x)
    return;
  if (verdict_of(err) != verdict::ack)
    count_failure(*x, err);
  now_ = door_->now();
  x->window.handled(mark);
  pump(*x);
  continue_drain();
}

// -- what is held for a strategy that is away or late ----------------------------------------

// In the order in which it came, and one for a try if the strategy is late.
void dispatching::hand_over_held(event_handler& to) {
  while (!to.held.empty() && to.breaker.lets_pass(now_)) {
    const auto first = to.held.extract(to.held.begin());
    hand_over_held(to, first.key(), first.mapped());
  }
}

void dispatching::hand_over_held(event_handler& to, delivery_key key, const held_message& x) {
  const auto id = to.id();
  const auto place = arrive(to, x.about);
  if (place == stream_tracker::verdict::fresh)
    return ask(to, x.event, key, origin_of(x.about));
  if (place == stream_tracker::verdict::in_hand)
    return deliveries_.follow(id, *origin_of(x.about), key);
  ++to.counters.duplicates;
  if (auto done = deliveries_.answered(key, id, verdict::ack, {}))
    finish(key, *done);
}

void dispatching::answer_held(event_handler& to, verdict what) {
  for (auto& [key, x] : std::exchange(to.held, {}))
    if (auto done = deliveries_.answered(key, to.id(), what, {}))
      finish(key, *done);
}

// It has waited for as long as a handler may take, and was not handled: no fault of its own, and
// others may be less late. Of a stream nobody else waits for it.
void dispatching::give_back_held(event_handler& to, delivery_key key) {
  if (to.spec.kind == queue_kind::stream)
    return;
  to.held.erase(key);
  if (auto done = deliveries_.answered(key, to.id(), verdict::release, {}))
    finish(key, *done);
}

// -- places that are kept ---------------------------------------------------------------------

void dispatching::drop_places(const shared_consumer& from, verdict what) {
  for (auto id : table_.places(from)) {
    answer_held(table_.at(id), what);
    table_.drop_place(id);
  }
}

// Gives back whether any place is still kept.
bool dispatching::drop_late_places() {
  std::vector<subscription_id> late;
  auto kept = false;
  for (auto& [id, x] : table_.handlers()) {
    if (x.removed || x.subscriber != 0)
      continue;
    if (x.kept_until <= now_)
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
  for (auto& [id, x] : table_.handlers()) {
    if (x.removed || x.subscriber == 0)
      continue; // it is told nothing more
    give_up_marks(x);
    hand_over_held(x);
    if (x.spec.stale_after.count() > 0)
      for (auto& notice : x.streams.stale(now_, x.spec.stale_after))
        door_->send(x.subscriber, caf::make_message(std::move(notice)));
    goes_on = goes_on || x.window.in_hand() > 0 || x.spec.stale_after.count() > 0;
  }
  if (goes_on)
    schedule_tick();
}

// A handler that neither answers nor ends must not hold a message for ever. Its time goes
// on when the link falls meanwhile.
void dispatching::give_up_answers() {
  auto limit_of = [this](subscription_id id) {
    auto& x = table_.at(id);
    return x.subscriber != 0 ? x.spec.time_limit : std::chrono::milliseconds{0};
  };
  for (auto& x : deliveries_.late(now_, limit_of)) {
    auto& handler = table_.at(x.id);
    if (handler.held.contains(x.key)) {
      give_back_held(handler, x.key);
      continue;
    }
    ++handler.counters.timed_out;
    handler.breaker.late();
    on_answer({x.key, x.id, x.from},
              make_error(ec::handler_timeout,
                         fmt::format("no answer within {} ms", handler.spec.time_limit.count())));
    if (auto* late = table_.find(x.id))
      late->expired_deliveries.insert(x.key);
  }
}

void dispatching::give_up_marks(event_handler& x) {
  if (x.spec.time_limit.count() == 0)
    return;
  const auto late = x.window.give_up(now_ - x.spec.time_limit);
  if (late == 0)
    return;
  x.counters.timed_out += late;
  log_repeated(log_level::warning, "no answer", to_string(x.spec),
               fmt::format("the strategy that subscribed {} has not answered within {} "
                           "ms: it gets more all the same",
                           to_string(x.spec), x.spec.time_limit.count()));
  pump(x);
}

// -- a message's end ----------------------------------------------------------------------------

// What goes back again and again goes back after a pause, or it would keep the
// broker, us and the log busy.
void dispatching::finish(delivery_key key, open_delivery& x) {
  if (x.outcome == verdict::ack)
    return x.asked > 0 && x.unwanted == x.asked ? settle_unwanted(key, x)
                                                : settle(key, x.consumer, verdict::ack);
  if (x.plan && !x.error.empty())
    return move(key, x);
  if (x.pause && x.outcome != verdict::reject)
    return pause(key, {x.consumer, x.outcome}, requeue_pause);
  settle(key, x.consumer, x.outcome);
}

// None of those who were asked has a handler for it. It came for the first time: once it comes
// again it is known that nobody else wants it either.
void dispatching::settle_unwanted(delivery_key key, open_delivery& x) {
  auto* from = table_.find_consumer(x.consumer);
  if (from && x.original)
    return settle_unmatched(key, *x.original, *from);
  ++counters_.unmatched;
  settle(key, x.consumer, verdict::release);
}

void dispatching::pause(delivery_key key, open_deliveries::paused_delivery x,
                        std::chrono::milliseconds time) {
  deliveries_.pause(key, std::move(x));
  door_->pause(key, time);
}

void dispatching::on_pause_over(delivery_key key) {
  if (const auto paused = deliveries_.resume(key))
    settle(key, paused->consumer, paused->outcome);
}

// To the retries or the dead letters.
void dispatching::move(delivery_key key, open_delivery& x) {
  const auto attempts = attempts_of(x.original->properties) + 1;
  const auto& plan = *x.plan;
  const auto again = plan.policy == error_policy::retry && x.outcome == verdict::requeue
                     && attempts <= plan.retry.max_retries;
  auto queue = again ? retry_queue_name(plan.queue, delay_of(plan.retry, attempts))
                     : dead_letter_queue_name(plan.queue);
  if (!again)
    log_repeated(log_level::error, "dead letter", queue,
                 fmt::format("message from {}:{} goes to the dead letters '{}': {}",
                             x.original->exchange, x.original->routing_key, queue, x.error));
  using goal = open_deliveries::moving_delivery::goal;
  send_copy(key, {x.consumer, again ? goal::retries : goal::dead_letters},
            copy_for(std::move(queue), std::move(*x.original), attempts, x.error));
}

// The original is acknowledged when the broker has the copy: if we die in between, there
// are two of it.
void dispatching::send_copy(delivery_key key, open_deliveries::moving_delivery x,
                            amqp::publication copy) {
  deliveries_.move(key, x);
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

void dispatching::count(open_deliveries::moving_delivery::goal x) noexcept {
  using goal = open_deliveries::moving_delivery::goal;
  if (x == goal::retries)
    ++counters_.retried;
  else if (x == goal::dead_letters)
    ++counters_.dead_lettered;
}

// It would come again for ever, and hold up what is behind it. The broker's own dead letters have
// no such limits.
void dispatching::settle_uncopied(delivery_key key, amqp::consumer_id id, const caf::error& why) {
  const auto* from = table_.find_consumer(id);
  const auto queue = from ? from->queue_name : std::string{};
  const auto fate = from && has_dead_letters(from->spec) ? "to the broker's dead letters" : "away";
  log_repeated(log_level::error, "copy never sent", queue,
               fmt::format("queue '{}': a message is rejected, and goes {}, as its copy for the "
                           "retries or dead letters can never be sent: {}",
                           queue, fate, text_of(why)));
  settle(key, id, verdict::reject);
}

// It was asked for a moment ago: held back, one message would hold up all others.
bool dispatching::awaits_queue_beside(amqp::consumer_id id) {
  const auto* x = table_.find_consumer(id);
  return x && x->sets_aside_since && door_->now() - *x->sets_aside_since < requeue_pause;
}

// Of no effect for deliveries of a no_ack consumer: they were never open.
void dispatching::settle(delivery_key key, amqp::consumer_id id, verdict what) {
  if (!deliveries_.settle(key, id, what))
    return;
  if ((what == verdict::requeue || what == verdict::release) && !reads_stream(id))
    ++counters_.requeued;
  schedule_flush();
}

// Behind the answers that wait already: many become few acknowledgements.
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
