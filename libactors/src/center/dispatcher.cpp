#include "center/dispatcher.hpp"

#include <algorithm>
#include <iterator>

#include <caf/exit_reason.hpp>
#include <fmt/core.h>

#include "actors/error.hpp"
#include "actors/logging.hpp"
#include "amqp/wire_rules.hpp"
#include "center/guarded.hpp"
#include "delivery/consumer_ids.hpp"
#include "delivery/retry.hpp"
#include "runtime/repeated_log.hpp"
#include "settings/feed.hpp"
#include "settings/subscription_queues.hpp"

namespace actors {

namespace {

/// What two subscriptions of one queue must agree on, for an error's text.
std::string consumer_text(const subscription& x) {
  return fmt::format("prefetch count {}{}", x.prefetch_count, x.no_ack ? " and no_ack" : "");
}

/// Each reader of a stream has a consumer of its own, as each begins where it asks to.
bool reads_stream(const subscription& x) noexcept {
  return x.kind == queue_kind::stream;
}

/// Ends that nobody needs to look into.
bool is_failure(const caf::error& reason) noexcept {
  return reason && reason != caf::exit_reason::user_shutdown && reason != caf::exit_reason::normal
         && reason != caf::exit_reason::kill;
}

} // namespace

std::string queue_name(const dispatcher_settings& settings, const subscription& x) {
  if (x.queue)
    return *x.queue;
  auto result = fmt::format("{}.{}.{}", settings.server_id, x.exchange, x.routing_key);
  if (!settings.instance.empty())
    result += '.' + settings.instance;
  if (settings.feeds && is_feed(x))
    result += ".feed";
  return result;
}

dispatcher_state::dispatcher_state(caf::event_based_actor* self) : self_(self) {
  // nop
}

void dispatcher_state::init(dispatcher_settings settings, caf::actor supervisor) {
  settings_ = std::move(settings);
  supervisor_ = std::move(supervisor);
  self_->monitor(supervisor_);
  decoder_ = delivery_decoder{settings_.limits};
}

// -- subscriptions ----------------------------------------------------------------------

caf::result<subscribed> dispatcher_state::subscribe(subscription what, caf::actor subscriber) {
  if (draining_)
    return make_error(ec::shutting_down, "the event center is stopping");
  auto queue = queue_name(settings_, what);
  auto err = refusal(what, subscriber);
  // A feed goes on by credit: answers would say nothing more.
  if (settings_.feeds && is_feed(what))
    what.no_ack = true;
  if (!err)
    err = conflict(what, queue);
  if (err) {
    log_repeated(log_level::error, "not subscribed", text_of(err),
                 "not subscribed: " + text_of(err));
    return err;
  }
  auto known = reads_stream(what) ? by_queue_.end() : by_queue_.find(queue);
  const auto consumer_id =
      known != by_queue_.end() ? known->second : add_consumer(what, std::move(queue));
  auto& from = consumers_.at(consumer_id);

  const auto place = take_place(from, what);
  const auto id = place != 0 ? place : add_handler(consumer_id, from, what);
  auto& x = handlers_.at(id);
  x.window = delivery_window<offer>{what.window};
  x.what = std::move(what);
  x.subscriber = std::move(subscriber);
  x.established = false;
  x.promise = self_->make_response_promise();
  x.counters.subscriber = x.subscriber.id();
  auto& theirs = subscribers_[x.subscriber.address()];
  if (theirs.empty())
    self_->monitor(x.subscriber);
  theirs.insert(id);
  if (x.what.stale_after.count() > 0)
    schedule_tick();

  if (from.bound.contains({x.what.exchange, from.queue, x.what.routing_key}))
    establish(x, from);
  else
    want(consumer_id, from, x.what);
  now_ = self_->clock().now();
  hand_over_held(x);
  return caf::delegated<subscribed>{};
}

subscription_id dispatcher_state::add_handler(amqp::consumer_id consumer_id, consumer& from,
                                              const subscription& what) {
  const auto id = ++last_subscription_;
  auto& x = handlers_[id];
  x.what = what;
  x.consumer = consumer_id;
  x.counters.id = id;
  from.members.push_back(id);
  from.handlers.insert(id, what.exchange, what.routing_key);
  return id;
}

caf::error dispatcher_state::refusal(const subscription& what, const caf::actor& subscriber) {
  if (!subscriber)
    return make_error(ec::invalid_argument,
                      fmt::format("subscription {}: its strategy is no actor", to_string(what)));
  return check(what);
}

caf::error dispatcher_state::conflict(const subscription& what, const std::string& queue) const {
  if (auto unsayable = amqp::check(amqp::declare_queue{queue_for(what, queue)}))
    return make_error(std::move(unsayable));
  auto known = by_queue_.find(queue);
  if (known == by_queue_.end())
    return {};
  auto& x = consumers_.at(known->second);
  const auto agree = reads_stream(x.what) && reads_stream(what) ? x.what.limits == what.limits
                                                                : share_consumer(x.what, what);
  if (agree)
    return {};
  const auto mine = consumer_text(x.what);
  const auto asked = consumer_text(what);
  return make_error(
      ec::subscription_conflict,
      fmt::format("queue '{}' is consumed here with {}; {} asks for {}: subscribe alike or name "
                  "another queue",
                  x.queue, mine, to_string(what),
                  mine == asked ? "another kind of queue, limit or retry" : asked));
}

amqp::consumer_id dispatcher_state::add_consumer(const subscription& what, std::string queue) {
  const auto id = make_consumer_id(++last_consumer_, what);
  if (!queue.empty())
    by_queue_.emplace(queue, id);
  auto& x = consumers_[id];
  x.queue_name = queue;
  x.what = what;
  const auto fails_apart =
      what.error == error_policy::dead_letter || what.error == error_policy::retry;
  if (what.ack == ack_policy::on_success && fails_apart)
    x.plan = std::make_shared<const failure_plan>(failure_plan{queue, what.error, what.retry});
  x.queue = std::move(queue);
  return id;
}

void dispatcher_state::want(amqp::consumer_id id, const consumer& x, const subscription& what,
                            bool goes_on) {
  if (busy_queues_.contains(x.queue))
    return; // until `on_retired`
  wanted_consumer wanted;
  wanted.consumer = {
      .id = id, .queue = x.queue, .prefetch_count = x.what.prefetch_count, .no_ack = x.what.no_ack};
  if (reads_stream(x.what))
    wanted.consumer.arguments = {
        {"x-stream-offset", x.next_offset ? amqp::field_value{*x.next_offset} : x.what.offset}};
  wanted.queue =
      settings_.feeds && is_feed(x.what) ? feed_queue(x.what, x.queue) : queue_for(x.what, x.queue);
  wanted.beside = queues_beside(x.what, wanted.queue);
  if (x.sets_aside_since)
    wanted.beside.push_back(unmatched_queue(wanted.queue));
  wanted.binding = {what.exchange, x.queue, what.routing_key};
  wanted.goes_on = goes_on;
  self_->send(supervisor_, std::move(wanted));
}

caf::result<void> dispatcher_state::unsubscribe(subscription_id id) {
  auto i = handlers_.find(id);
  if (i == handlers_.end() || i->second.removed)
    return make_error(ec::not_subscribed, fmt::format("there is no subscription {}", id));
  remove(id, make_error(ec::not_subscribed, "unsubscribed before the broker answered"));
  return caf::unit;
}

// Takes a subscription out of the table. What its subscriber has not answered
// yet may still be answered, or its end be noticed.
void dispatcher_state::remove(subscription_id id, const caf::error& reason, ending how) {
  auto& x = handlers_.at(id);
  answer_held(x, verdict::release);
  x.removed = true;
  if (x.promise.pending())
    x.promise.deliver(reason);
  auto& from = consumers_.at(x.consumer);
  from.handlers.erase(id, x.what.exchange, x.what.routing_key);
  std::erase(from.members, id);
  if (is_deserted(from)) {
    drop_places(from, verdict::release);
    if (!draining_) // else it is being retired, or was
      retire(x.consumer, from);
    forget_queue(x.consumer, from.queue);
    consumers_.erase(x.consumer);
  } else if (how == ending::strategy_ended && from.what.kind != queue_kind::transient) {
    // The binding of a queue that is kept stays: what comes until the strategy is back
    // waits for it.
  } else if (from.handlers.bound_to(x.what.exchange, x.what.routing_key).empty()) {
    amqp::binding unused{x.what.exchange, from.queue, x.what.routing_key};
    from.bound.erase(unused);
    self_->send(supervisor_, unwant_atom_v, x.consumer, std::move(unused));
  }
  if (x.counters.in_flight == 0)
    forget(id);
}

bool dispatcher_state::is_deserted(const consumer& x) const {
  return std::none_of(x.members.begin(), x.members.end(),
                      [this](auto id) { return !!handlers_.at(id).subscriber; });
}

void dispatcher_state::retire(amqp::consumer_id id, const consumer& x) {
  if (busy_queues_.contains(x.queue))
    return; // it was never wanted
  // What its strategies leave behind goes back ahead of all that follows.
  deliveries_.resume_all(id);
  flush();
  self_->send(supervisor_, unwant_atom_v, id);
  // To a stream nothing goes back: its next reader need not wait.
  const auto awaited = reads_stream(x.what) ? std::string{} : x.queue;
  retiring_.emplace(id, awaited);
  if (!awaited.empty())
    busy_queues_.insert(awaited);
}

void dispatcher_state::forget_queue(amqp::consumer_id id, const std::string& queue) {
  auto [i, last] = by_queue_.equal_range(queue);
  while (i != last)
    i = i->second == id ? by_queue_.erase(i) : std::next(i);
}

// All that a former consumer delivered has been seen: the next may start.
void dispatcher_state::on_retired(amqp::consumer_id id) {
  auto retired = retiring_.extract(id);
  if (retired.empty())
    return;
  const auto& queue = retired.mapped();
  busy_queues_.erase(queue);
  deliveries_.resume_all(id);
  flush();
  deliveries_.retired(id);
  if (draining_)
    return continue_drain();
  auto next = by_queue_.find(queue);
  if (next == by_queue_.end())
    return;
  auto& x = consumers_.at(next->second);
  for (auto member : x.members)
    want(next->second, x, handlers_.at(member).what);
}

void dispatcher_state::forget(subscription_id id) {
  auto x = handlers_.find(id);
  auto who = subscribers_.find(x->second.subscriber.address());
  if (who != subscribers_.end() && who->second.erase(id) > 0 && who->second.empty()) {
    self_->demonitor(x->second.subscriber);
    subscribers_.erase(who);
  }
  handlers_.erase(x);
}

// Without a supervisor nothing comes any more.
void dispatcher_state::on_down(const caf::actor_addr& who, const caf::error& reason) {
  if (who != supervisor_.address())
    return on_subscriber_down(who, reason);
  if (reason != caf::exit_reason::user_shutdown)
    tell_all_lost({ec::connection_lost, "the supervisor has ended: " + text_of(reason)});
}

// Nobody has a reason to end us but the event center, and it says "stop".
void dispatcher_state::on_exit(const caf::error& reason) {
  tell_all_lost({ec::connection_lost, "the dispatcher has ended: " + text_of(reason)});
  self_->quit(reason);
}

void dispatcher_state::tell_all_lost(const failure& reason) {
  for (auto& [id, x] : handlers_) {
    x.counters.consuming = false;
    tell_lost(x, reason);
  }
}

// A fault of ours. What strategies had of all links comes again, as they are renewed: no
// delivery may stay without an answer.
void dispatcher_state::on_exception(const std::exception_ptr& what) {
  const failure reason{ec::handler_failed,
                       "the dispatcher failed with a message: " + text_of(what)};
  log_repeated(log_level::error, "dispatcher failed", reason.text,
               reason.text + "; its links are renewed, all subscriptions stay");
  flush_scheduled_ = false;
  for (auto& [id, x] : consumers_)
    lose(id, x, reason);
  for (auto role : {link_role::consuming, link_role::quarantine})
    self_->send(supervisor_, close_atom_v, role);
}

void dispatcher_state::on_subscriber_down(const caf::actor_addr& who, const caf::error& reason) {
  auto i = subscribers_.find(who);
  if (i == subscribers_.end())
    return;
  const auto gone = std::move(i->second);
  subscribers_.erase(i);
  report_end(gone, reason);
  give_back_unanswered(gone);
  for (auto id : gone) {
    auto& x = handlers_.at(id);
    x.counters.in_flight = 0;
    if (x.removed) {
      forget(id);
      continue;
    }
    keep_place(id);
    remove(id, make_error(ec::not_subscribed, "the strategy ended before the broker answered"),
           ending::strategy_ended);
  }
  continue_drain();
}

void dispatcher_state::report_end(const std::set<subscription_id>& gone, const caf::error& reason) {
  const auto& first = handlers_.at(*gone.begin());
  const auto& named = first.what.strategy;
  const auto who = named.empty() ? fmt::format("actor {}", first.counters.subscriber)
                                 : fmt::format("'{}' (actor {})", named, first.counters.subscriber);
  const auto what = gone.size() == 1
                        ? fmt::format("its subscription ({}) is removed", to_string(first.what))
                        : fmt::format("its {} subscriptions ({}, ...) are removed", gone.size(),
                                      to_string(first.what));
  // Each time that it is started anew it is another actor.
  const auto entity = named.empty() ? to_string(first.what) : named;
  if (is_failure(reason))
    log_repeated(log_level::warning, "strategy failed", entity,
                 fmt::format("strategy {} has failed: {}: {}", who, text_of(reason), what));
  else
    log_repeated(log_level::info, "strategy ended", entity,
                 fmt::format("strategy {} has ended: {}", who, what));
}

// What a strategy had not answered when it ended goes back to its queue.
void dispatcher_state::give_back_unanswered(const std::set<subscription_id>& gone) {
  for (auto& [key, open] : deliveries_.give_back(gone))
    finish(key, open);
}

void dispatcher_state::on_consumer_state(const consumer_state& x) {
  if (x.retired)
    return on_retired(x.id);
  auto i = consumers_.find(x.id);
  if (i == consumers_.end())
    return;
  auto& from = i->second;
  // A copy: a failure removes from the lists.
  const auto about = x.binding ? from.handlers.bound_to(x.binding->exchange, x.binding->routing_key)
                               : from.members;
  if (!x.error) {
    from.queue_name = x.queue;
    if (x.abandoned_offset && x.abandoned_offset == from.next_offset) // else some has come already
      from.next_offset = 0;
    if (x.binding) {
      from.bound.insert(*x.binding);
      if (x.assumed)
        from.assumed.insert(*x.binding);
      else
        from.assumed.erase(*x.binding);
    }
    for (auto id : about)
      establish(handlers_.at(id), from);
    return;
  }
  if (x.binding)
    from.bound.erase(*x.binding);
  else
    from.bound.clear();
  // It is started again, where it was.
  if (!x.binding && reads_stream(from.what) && from.next_offset)
    resume_stream(x.id, from);
  for (auto id : about)
    if (handlers_.contains(id)) // a place goes with the last strategy
      fail(id, x.error);
}

void dispatcher_state::establish(handler& x, const consumer& from) {
  x.counters.consuming = true;
  tell_restored(x);
  if (x.established)
    return;
  x.established = true;
  const auto text = fmt::format("subscribed: {} on queue '{}'", to_string(x.what), from.queue_name);
  log_repeated(log_level::info, "subscribed", text, text);
  if (x.promise.pending())
    x.promise.deliver(
        subscribed{x.counters.id, x.what.exchange, x.what.routing_key, from.queue_name,
                   !from.assumed.contains({x.what.exchange, from.queue, x.what.routing_key})});
}

// A subscription that never worked ends with the error; one that did is kept
// and comes back when the broker lets it.
void dispatcher_state::fail(subscription_id id, const failure& reason) {
  auto& x = handlers_.at(id);
  x.counters.consuming = false;
  if (x.established)
    return;
  const auto text = fmt::format("not subscribed: {}: {}", to_string(x.what), reason.text);
  log_repeated(log_level::error, "not subscribed", text, text);
  remove(id, make_error(reason));
}

void dispatcher_state::on_consumers_lost(const consumers_lost& lost) {
  for (auto id : lost.consumers) {
    auto i = consumers_.find(id);
    if (i != consumers_.end())
      lose(id, i->second, lost.reason);
    else
      deliveries_.lost(id);
  }
  flush();
  continue_drain();
}

void dispatcher_state::lose(amqp::consumer_id id, consumer& x, const failure& reason) {
  x.bound.clear();
  x.assumed.clear();
  if (reads_stream(x.what) && x.next_offset)
    resume_stream(id, x);
  deliveries_.lost(id);
  for (auto member : x.members)
    answer_held(handlers_.at(member), verdict::release);
  x.life = 0;
  for (auto member : x.members) {
    auto& theirs = handlers_.at(member);
    theirs.counters.consuming = false;
    tell_lost(theirs, reason);
  }
}

// At once, whatever waits: a strategy may have to act on it.
void dispatcher_state::tell_lost(handler& x, const failure& reason) {
  if (!x.what.stream_events || !x.established || x.removed || !x.subscriber || x.told_lost)
    return;
  x.told_lost = true;
  self_->send(x.subscriber, link_lost{x.what.exchange, x.what.routing_key, to_string(reason)});
}

void dispatcher_state::tell_restored(handler& x) {
  if (std::exchange(x.told_lost, false))
    self_->send(x.subscriber, link_restored{x.what.exchange, x.what.routing_key});
}

// Goes on where it was: at the first message that has no answer yet, or else
// behind the last one.
void dispatcher_state::resume_stream(amqp::consumer_id id, consumer& x) {
  if (auto first = deliveries_.first_offset(id))
    x.next_offset = std::min(*x.next_offset, *first);
  for (auto member : x.members)
    want(id, x, handlers_.at(member).what, true);
}

// -- looking, ending -------------------------------------------------------------------

caf::result<center_status> dispatcher_state::status() {
  auto mine = counters_;
  for (auto& [id, x] : handlers_) {
    if (x.removed || !x.subscriber)
      continue;
    auto row = x.counters;
    row.exchange = x.what.exchange;
    row.routing_key = x.what.routing_key;
    row.queue = consumers_.at(x.consumer).queue_name;
    row.waiting = x.window.waiting();
    row.dropped = x.window.drops();
    row.forgotten = x.streams.forgotten();
    mine.handlers.push_back(std::move(row));
  }
  auto promise = self_->make_response_promise<center_status>();
  self_->request(supervisor_, caf::infinite, status_atom_v)
      .then(
          [promise, mine](supervisor_status& x) mutable {
            promise.deliver(center_status{std::move(x), std::move(mine)});
          },
          [promise](caf::error& err) mutable { promise.deliver(std::move(err)); });
  return promise;
}

// Nothing new is handed out; what was is given the time to be answered. The
// handlers stay in the table: what the broker forgets on sending still comes.
caf::result<drained> dispatcher_state::drain(std::chrono::milliseconds limit) {
  draining_ = true;
  drain_promise_ = self_->make_response_promise();
  for (auto& [id, x] : consumers_)
    drop_places(x, verdict::release);
  for (auto& [id, x] : handlers_)
    answer_held(x, verdict::release);
  for (auto& [id, x] : consumers_)
    if (!retiring_.contains(id))
      retire(id, x);
  self_->delayed_send(self_, limit, drain_atom_v);
  continue_drain();
  return caf::delegated<drained>{};
}

void dispatcher_state::continue_drain() {
  if (!drain_promise_.pending() || !retiring_.empty() || deliveries_.unfinished() > 0)
    return;
  if (std::all_of(handlers_.begin(), handlers_.end(),
                  [](auto& x) { return x.second.window.waiting() == 0; }))
    drain_promise_.deliver(drained{});
}

void dispatcher_state::on_drain_deadline() {
  if (!drain_promise_.pending())
    return;
  drained result{deliveries_.unfinished()};
  for (auto& [id, x] : handlers_)
    result.unhandled += x.window.waiting();
  if (result.unhandled > 0)
    log(log_level::warning,
        fmt::format("stopped with {} events that strategies had not answered", result.unhandled));
  drain_promise_.deliver(result);
}

void dispatcher_state::stop() {
  for (auto& [id, x] : handlers_)
    if (x.promise.pending())
      x.promise.deliver(make_error(ec::shutting_down, "the event center is stopping"));
  self_->quit(caf::exit_reason::user_shutdown);
}

caf::behavior dispatcher(caf::stateful_actor<dispatcher_state>* self, dispatcher_settings settings,
                         caf::actor supervisor) {
  auto& state = self->state;
  state.init(std::move(settings), std::move(supervisor));
  self->set_down_handler(
      guarded(state, [&state](caf::down_msg& x) { state.on_down(x.source, x.reason); }));
  self->set_exit_handler([&state](caf::exit_msg& x) { state.on_exit(x.reason); });
  // CAF sends back what a handler returns, even if the event was no request. An
  // error would end us by default; a value must not be answered in turn, as our
  // complaint would end the strategy.
  self->set_error_handler([&state](caf::error& x) { state.on_unasked_error(x); });
  self->set_default_handler([](caf::scheduled_actor*, caf::message_view&) {
    return caf::result<caf::message>{caf::delegated<caf::message>{}};
  });
  return {
      guarded(state, [&state](delivery_batch& x) { state.on_deliveries(x); }),
      guarded(state, [&state](flush_atom) { state.on_flush(); }),
      guarded(state,
              [&state](requeue_atom, std::uint64_t life, std::uint64_t tag) {
                state.on_pause_over({life, tag});
              }),
      guarded(state,
              [&state](subscribe_atom, subscription& what, caf::actor& subscriber) {
                return state.subscribe(std::move(what), std::move(subscriber));
              }),
      guarded(state,
              [&state](unsubscribe_atom, subscription_id id) { return state.unsubscribe(id); }),
      guarded(state, [&state](const consumer_state& x) { state.on_consumer_state(x); }),
      guarded(state, [&state](const consumers_lost& x) { state.on_consumers_lost(x); }),
      guarded(state, [&state](tick_atom) { state.on_tick(); }),
      guarded(state, [&state](status_atom) { return state.status(); }),
      guarded(state,
              [&state](drain_atom, std::uint64_t limit) {
                return state.drain(std::chrono::milliseconds{limit});
              }),
      guarded(state, [&state](drain_atom) { state.on_drain_deadline(); }),
      guarded(state, [&state](stop_atom) { state.stop(); }),
  };
}

} // namespace actors
