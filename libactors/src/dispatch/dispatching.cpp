#include "dispatch/dispatching.hpp"

#include <algorithm>

#include <caf/exit_reason.hpp>
#include <fmt/core.h>

#include "actors/error.hpp"
#include "actors/logging.hpp"
#include "amqp/overloaded.hpp"
#include "runtime/repeated_log.hpp"

// Subscriptions: how they begin, what the broker says of them, how they end.

namespace actors {

namespace {

using namespace std::chrono_literals;

/// How long a strategy may be away before its place goes to others.
constexpr auto longest_absence = 5s;

/// Ends that nobody needs to look into.
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

caf::error dispatching::refusal(const subscription& what, bool has_strategy) const {
  if (draining_)
    return make_error(ec::shutting_down, "the event center is stopping");
  auto result =
      has_strategy
          ? table_.check(what)
          : make_error(ec::invalid_argument,
                       fmt::format("subscription {}: its strategy is no actor", to_string(what)));
  if (result)
    log_repeated(log_level::error, "not subscribed", text_of(result),
                 "not subscribed: " + text_of(result));
  return result;
}

void dispatching::begin(event_handler& x) {
  if (x.spec.stale_after.count() > 0)
    schedule_tick();
  if (table_.consumer_of(x).has_bound(x.spec))
    establish(x);
  follow();
  now_ = door_->now();
  hand_over_held(x);
}

// Carries out what the table wishes.
void dispatching::follow() {
  for (auto& wish : table_.take_wishes())
    std::visit(amqp::overloaded{
                   [this](wanted_consumer& x) { door_->want(std::move(x)); },
                   [this](subscription_table::unwanted_binding& x) {
                     door_->unwant(x.id, std::move(x.spec));
                   },
                   [this](subscription_table::unwanted_consumer& x) {
                     // What its strategies leave behind goes back ahead of all that follows.
                     deliveries_.resume_all(x.id);
                     flush();
                     door_->unwant(x.id);
                   },
               },
               wish);
}

// A subscription that never worked ends with the error; one that did is kept
// and comes back when the broker lets it.
void dispatching::fail(subscription_id id, const failure& reason) {
  auto& x = table_.at(id);
  x.counters.consuming = false;
  if (x.established)
    return;
  const auto text = fmt::format("not subscribed: {}: {}", to_string(x.spec), reason.text);
  log_repeated(log_level::error, "not subscribed", text, text);
  remove(id, make_error(reason));
}

void dispatching::establish(event_handler& x) {
  x.counters.consuming = true;
  tell_restored(x);
  if (std::exchange(x.established, true))
    return;
  const auto& from = table_.consumer_of(x);
  const auto text = fmt::format("subscribed: {} on queue '{}'", to_string(x.spec), from.queue_name);
  log_repeated(log_level::info, "subscribed", text, text);
  door_->grant(x.id(), {x.counters.id, x.spec.exchange, x.spec.routing_key, from.queue_name,
                        !from.assumed.contains({x.spec.exchange, from.queue, x.spec.routing_key})});
}

// -- what the broker says -----------------------------------------------------------------

void dispatching::on_consumer_state(const consumer_state& x) {
  if (x.retired)
    return on_retired(x.id);
  auto* from = table_.find_consumer(x.id);
  if (!from)
    return;
  const auto about = table_.apply(x); // a copy: a failure removes from the lists
  if (!x.error) {
    for (auto id : about)
      establish(table_.at(id));
    return;
  }
  // It is started again, where it was.
  if (!x.binding)
    table_.resume_stream(x.id, *from, deliveries_.first_offset(x.id));
  for (auto id : about)
    if (table_.find(id)) // a place goes with the last strategy
      fail(id, x.error);
  follow();
}

// All that a former consumer delivered has been seen: the next may start.
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

void dispatching::on_consumers_lost(const std::vector<amqp::consumer_id>& xs,
                                    const failure& reason) {
  for (auto id : xs)
    if (auto* x = table_.find_consumer(id))
      lose(id, *x, reason);
    else
      deliveries_.lost(id);
  follow();
  flush();
  continue_drain();
}

void dispatching::lose(amqp::consumer_id id, shared_consumer& x, const failure& reason) {
  table_.lost(x);
  table_.resume_stream(id, x, deliveries_.first_offset(id));
  deliveries_.lost(id);
  for (auto member : x.members)
    answer_held(table_.at(member), verdict::release);
  for (auto member : x.members) {
    auto& theirs = table_.at(member);
    theirs.counters.consuming = false;
    tell_lost(theirs, reason);
  }
}

void dispatching::tell_all_lost(const failure& reason) {
  for (auto& [id, x] : table_.handlers()) {
    x.counters.consuming = false;
    tell_lost(x, reason);
  }
}

// No delivery may stay without an answer.
void dispatching::on_exception(const failure& reason) {
  flush_scheduled_ = false;
  for (auto& [id, x] : table_.consumers())
    lose(id, x, reason);
  follow();
}

// At once, whatever waits: a strategy may have to act on it.
void dispatching::tell_lost(event_handler& x, const failure& reason) {
  if (!x.spec.stream_events || !x.established || x.removed || x.subscriber == 0
      || x.link_loss_reported)
    return;
  x.link_loss_reported = true;
  door_->send(x.subscriber,
              caf::make_message(link_lost{x.spec.exchange, x.spec.routing_key, to_string(reason)}));
}

void dispatching::tell_restored(event_handler& x) {
  if (std::exchange(x.link_loss_reported, false))
    door_->send(x.subscriber,
                caf::make_message(link_restored{x.spec.exchange, x.spec.routing_key}));
}

// -- how they end -------------------------------------------------------------------------

caf::error dispatching::unsubscribe(subscription_id known_as) {
  const auto* x = table_.find_known(known_as);
  if (!x)
    return make_error(ec::not_subscribed, fmt::format("there is no subscription {}", known_as));
  remove(x->id(), make_error(ec::not_subscribed, "unsubscribed before the broker answered"));
  return {};
}

// Takes a subscription out of the table. What its strategy has not answered
// yet may still be answered, or its end be noticed.
void dispatching::remove(subscription_id id, const caf::error& reason, ending how) {
  auto& x = table_.at(id);
  answer_held(x, verdict::release);
  door_->refuse(id, reason);
  if (table_.is_last(id))
    drop_places(table_.consumer_of(x), verdict::release);
  table_.remove(id, how);
  follow();
  if (x.counters.in_flight == 0)
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
    auto& x = table_.at(id);
    x.counters.in_flight = 0;
    if (x.removed) {
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
  const auto& named = first.spec.strategy;
  const auto who = named.empty() ? fmt::format("actor {}", first.counters.subscriber)
                                 : fmt::format("'{}' (actor {})", named, first.counters.subscriber);
  const auto what = gone.size() == 1
                        ? fmt::format("its subscription ({}) is removed", to_string(first.spec))
                        : fmt::format("its {} subscriptions ({}, ...) are removed", gone.size(),
                                      to_string(first.spec));
  // Each time that it is started anew it is another actor.
  const auto entity = named.empty() ? to_string(first.spec) : named;
  if (is_failure(reason))
    log_repeated(log_level::warning, "strategy failed", entity,
                 fmt::format("strategy {} has failed: {}: {}", who, text_of(reason), what));
  else
    log_repeated(log_level::info, "strategy ended", entity,
                 fmt::format("strategy {} has ended: {}", who, what));
}

// What a strategy had not answered when it ended goes back to its queue.
void dispatching::give_back_unanswered(const std::set<subscription_id>& gone) {
  for (auto& [key, open] : deliveries_.give_back(gone))
    finish(key, open);
}

// -- looking, ending ----------------------------------------------------------------------

dispatcher_status dispatching::status() {
  auto result = counters_;
  for (auto& [id, x] : table_.handlers())
    if (!x.removed && x.subscriber != 0)
      result.handlers.push_back(x.status(table_.consumer_of(x).queue_name));
  return result;
}

// What was handed out is given the time to be answered. The handlers stay in the table: what
// the broker forgets on sending still comes.
void dispatching::drain() {
  draining_ = true;
  for (auto& [id, x] : table_.consumers())
    drop_places(x, verdict::release);
  for (auto& [id, x] : table_.handlers())
    answer_held(x, verdict::release);
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
  for (auto& [id, x] : table_.handlers())
    result += x.window.waiting();
  return result;
}

} // namespace actors
