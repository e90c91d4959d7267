#include "dispatch/dispatching.hpp"

#include <algorithm>

#include <caf/exit_reason.hpp>
#include <fmt/core.h>

#include "actors/error.hpp"
#include "actors/logging.hpp"
#include "amqp/overloaded.hpp"
#include "runtime/repeated_log.hpp"

// This file has the life of subscriptions: their begin, news from the broker, their end.

namespace actors {

namespace {

using namespace std::chrono_literals;

/// A strategy's place is kept for this time before it goes to others.
constexpr auto longest_absence = 5s;

/// Whether the end of a strategy needs somebody's attention.
bool is_failure(const caf::error& reason) noexcept {
  return reason && reason != caf::exit_reason::user_shutdown && reason != caf::exit_reason::normal
         && reason != caf::exit_reason::kill;
}

} // namespace

dispatching::dispatching(dispatch_door& door, const dispatcher_settings& settings)
    : door_(&door), table_(settings), decoder_(settings.limits) {
  // nop
}

// -- how they begin -----------------------------------------------------------------------

caf::error dispatching::refusal(const subscription& spec, bool has_strategy) const {
  if (draining_)
    return make_error(ec::shutting_down, "the event center is stopping");
  auto result =
      has_strategy
          ? table_.check(spec)
          : make_error(ec::invalid_argument,
                       fmt::format("subscription {}: its strategy is no actor", to_string(spec)));
  if (result)
    log_repeated(log_level::error, "not subscribed", text_of(result),
                 "not subscribed: " + text_of(result));
  return result;
}

void dispatching::begin(event_handler& handler) {
  if (handler.spec.stale_after.count() > 0)
    schedule_tick();
  if (table_.consumer_of(handler).has_bound(handler.spec))
    establish(handler);
  follow();
  now_ = door_->now();
  deliver_held(handler);
}

// Carries out the wishes of the table.
void dispatching::follow() {
  for (auto& wish : table_.take_wishes())
    std::visit(amqp::overloaded{
                   [this](wanted_consumer& consumer) { door_->want(std::move(consumer)); },
                   [this](subscription_table::unwanted_binding& unwanted) {
                     door_->unwant(unwanted.id, std::move(unwanted.spec));
                   },
                   [this](subscription_table::unwanted_consumer& unwanted) {
                     // Messages that its strategies leave behind go back ahead of all that follow.
                     deliveries_.resume_all(unwanted.id);
                     flush();
                     door_->unwant(unwanted.id);
                   },
               },
               wish);
}

// A subscription that never worked ends with the error; an established one is kept, and comes back
// when the broker allows it.
void dispatching::fail(subscription_id id, const failure& reason) {
  auto& handler = table_.at(id);
  handler.counters.consuming = false;
  if (handler.established)
    return;
  const auto text = fmt::format("not subscribed: {}: {}", to_string(handler.spec), reason.text);
  log_repeated(log_level::error, "not subscribed", text, text);
  remove(id, make_error(reason));
}

void dispatching::establish(event_handler& handler) {
  handler.counters.consuming = true;
  tell_restored(handler);
  if (std::exchange(handler.established, true))
    return;
  const auto& from = table_.consumer_of(handler);
  const auto text =
      fmt::format("subscribed: {} on queue '{}'", to_string(handler.spec), from.queue_name);
  log_repeated(log_level::info, "subscribed", text, text);
  door_->grant(
      handler.id(),
      {handler.counters.id, handler.spec.exchange, handler.spec.routing_key, from.queue_name,
       !from.assumed.contains({handler.spec.exchange, from.queue, handler.spec.routing_key})});
}

// -- what the broker says -----------------------------------------------------------------

void dispatching::on_consumer_state(const consumer_state& state) {
  if (state.retired)
    return on_retired(state.id);
  auto* from = table_.find_consumer(state.id);
  if (!from)
    return;
  const auto about = table_.apply(state); // a copy: a failure removes from the lists
  if (!state.error) {
    for (auto id : about)
      establish(table_.at(id));
    return;
  }
  // The consumer is started again, at its old offset.
  if (!state.binding)
    table_.resume_stream(state.id, *from, deliveries_.first_offset(state.id));
  for (auto id : about)
    if (table_.find(id)) // a place goes with the last strategy
      fail(id, state.error);
  follow();
}

// A retired consumer has delivered all: the next one may start.
void dispatching::on_retired(amqp::consumer_id id) {
  if (!table_.is_retiring(id))
    return;
  deliveries_.resume_all(id);
  flush();
  deliveries_.retired(id);
  table_.retired(id);
  follow();
  continue_drain();
}

void dispatching::on_consumers_lost(const std::vector<amqp::consumer_id>& ids,
                                    const failure& reason) {
  for (auto id : ids)
    if (auto* consumer = table_.find_consumer(id))
      lose(id, *consumer, reason);
    else
      deliveries_.lost(id);
  follow();
  flush();
  continue_drain();
}

void dispatching::lose(amqp::consumer_id id, shared_consumer& consumer, const failure& reason) {
  table_.lost(consumer);
  table_.resume_stream(id, consumer, deliveries_.first_offset(id));
  deliveries_.lost(id);
  for (auto member : consumer.members)
    answer_held(table_.at(member), verdict::release);
  for (auto member : consumer.members) {
    auto& theirs = table_.at(member);
    theirs.counters.consuming = false;
    tell_lost(theirs, reason);
  }
}

void dispatching::tell_all_lost(const failure& reason) {
  for (auto& [id, handler] : table_.handlers()) {
    handler.counters.consuming = false;
    tell_lost(handler, reason);
  }
}

// No delivery may stay without an answer.
void dispatching::on_exception(const failure& reason) {
  flush_scheduled_ = false;
  for (auto& [id, consumer] : table_.consumers())
    lose(id, consumer, reason);
  follow();
}

// The notice overtakes waiting events: a strategy may have to act on it at once.
void dispatching::tell_lost(event_handler& handler, const failure& reason) {
  if (!handler.spec.stream_events || !handler.established || handler.removed
      || handler.subscriber == 0 || handler.link_loss_reported)
    return;
  handler.link_loss_reported = true;
  door_->send(handler.subscriber,
              caf::make_message(
                  link_lost{handler.spec.exchange, handler.spec.routing_key, to_string(reason)}));
}

void dispatching::tell_restored(event_handler& handler) {
  if (std::exchange(handler.link_loss_reported, false))
    door_->send(handler.subscriber,
                caf::make_message(link_restored{handler.spec.exchange, handler.spec.routing_key}));
}

// -- how they end -------------------------------------------------------------------------

caf::error dispatching::unsubscribe(subscription_id known_as) {
  const auto* handler = table_.find_known(known_as);
  if (!handler)
    return make_error(ec::not_subscribed, fmt::format("there is no subscription {}", known_as));
  remove(handler->id(), make_error(ec::not_subscribed, "unsubscribed before the broker answered"));
  return {};
}

// The handler of the subscription stays while its strategy owes answers: these may still come, or
// the strategy's end be noticed.
void dispatching::remove(subscription_id id, const caf::error& reason, ending kind) {
  auto& handler = table_.at(id);
  answer_held(handler, verdict::release);
  door_->refuse(id, reason);
  if (table_.is_last(id))
    drop_places(table_.consumer_of(handler), verdict::release);
  table_.remove(id, kind);
  follow();
  if (handler.counters.in_flight == 0)
    forget(id);
}

void dispatching::forget(subscription_id id) {
  if (const auto who = table_.forget(id); who != 0)
    door_->forget(who);
}

void dispatching::on_strategy_down(subscriber_id who, const caf::error& reason) {
  const auto gone = table_.forget_strategy(who);
  if (gone.empty())
    return;
  report_end(gone, reason);
  give_back_unanswered(gone);
  for (auto id : gone) {
    auto& handler = table_.at(id);
    handler.counters.in_flight = 0;
    if (handler.removed) {
      forget(id);
      continue;
    }
    if (table_.keep_place(id, door_->now() + longest_absence))
      schedule_tick();
    remove(id, make_error(ec::not_subscribed, "the strategy ended before the broker answered"),
           ending::strategy_ended);
  }
  continue_drain();
}

void dispatching::report_end(const std::set<subscription_id>& gone, const caf::error& reason) {
  const auto& first = table_.at(*gone.begin());
  const auto who = name_of_strategy(first);
  const auto removed = gone.size() == 1
                           ? fmt::format("its subscription ({}) is removed", to_string(first.spec))
                           : fmt::format("its {} subscriptions ({}, ...) are removed", gone.size(),
                                         to_string(first.spec));
  if (is_failure(reason))
    log_repeated(log_level::warning, "strategy failed", kind_of(first, reason),
                 fmt::format("strategy {} has failed: {}: {}", who, text_of(reason), removed));
  else
    log_repeated(log_level::info, "strategy ended", kind_of(first, reason),
                 fmt::format("strategy {} has ended: {}", who, removed));
}

// Messages that a strategy had not answered when it ended go back to their queue.
void dispatching::give_back_unanswered(const std::set<subscription_id>& gone) {
  for (auto& [key, open] : deliveries_.give_back(gone))
    finish(key, open);
}

// -- looking, ending ----------------------------------------------------------------------

dispatcher_status dispatching::status() {
  auto result = counters_;
  for (auto& [id, handler] : table_.handlers())
    if (!handler.removed && handler.subscriber != 0)
      result.handlers.push_back(handler.status(table_.consumer_of(handler).queue_name));
  return result;
}

// Deliveries in the strategies' hands get the time to be answered. The handlers stay in the table:
// deliveries that the broker forgets on sending still come.
void dispatching::drain() {
  draining_ = true;
  for (auto& [id, consumer] : table_.consumers())
    drop_places(consumer, verdict::release);
  for (auto& [id, handler] : table_.handlers())
    answer_held(handler, verdict::release);
  table_.retire_all();
  follow();
  continue_drain();
}

void dispatching::continue_drain() {
  if (!draining_ || !table_.has_retired_all() || deliveries_.unfinished() > 0)
    return;
  auto& handlers = table_.handlers();
  if (std::all_of(handlers.begin(), handlers.end(),
                  [](auto& x) { return x.second.window.waiting() == 0; }))
    door_->end_drain();
}

std::uint64_t dispatching::unhandled() {
  std::uint64_t result = deliveries_.unfinished();
  for (auto& [id, handler] : table_.handlers())
    result += handler.window.waiting();
  return result;
}

} // namespace actors
