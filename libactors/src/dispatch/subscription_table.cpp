#include "dispatch/subscription_table.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/core.h>

#include "actors/error.hpp"
#include "amqp/wire_rules.hpp"
#include "delivery/consumer_ids.hpp"
#include "delivery/retry.hpp"
#include "settings/feed.hpp"
#include "settings/subscription_queues.hpp"

namespace actors {

namespace {

std::string_view text_of(queue_kind x) noexcept {
  switch (x) {
  case queue_kind::durable:
    return "durable";
  case queue_kind::quorum:
    return "quorum";
  case queue_kind::stream:
    return "stream";
  default:
    return "transient";
  }
}

/// What two subscriptions of one queue must agree on, for an error's text.
std::string consumer_text(const subscription& x) {
  return fmt::format("as a {} queue with prefetch count {}{}", text_of(x.kind), x.prefetch_count,
                     x.no_ack ? " and no_ack" : "");
}

/// Each reader of a stream has a consumer of its own, as each begins where it asks to.
bool reads_stream(const subscription& x) noexcept {
  return x.kind == queue_kind::stream;
}

bool is_same_place(const subscription& x, const subscription& y) {
  return x.exchange == y.exchange && x.routing_key == y.routing_key && x.codec == y.codec
         && x.subject == y.subject && x.ack == y.ack && x.has_delivery_info == y.has_delivery_info;
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

subscription_table::subscription_table(dispatcher_settings settings)
    : settings_(std::move(settings)) {
  // nop
}

// -- what strategies ask for --------------------------------------------------------------

caf::error subscription_table::check(const subscription& what) const {
  if (auto refused = actors::check(what))
    return refused;
  return conflict(what, queue_name(settings_, what));
}

caf::error subscription_table::conflict(const subscription& what, const std::string& queue) const {
  if (auto unsayable = amqp::check(amqp::declare_queue{queue_for(what, queue)}))
    return make_error(std::move(unsayable));
  const auto known = by_queue_.find(queue);
  if (known == by_queue_.end())
    return {};
  auto asked = what;
  asked.no_ack = what.no_ack || (settings_.feeds && is_feed(what));
  auto& x = consumers_.at(known->second);
  const auto agree = reads_stream(x.spec) && reads_stream(asked) ? x.spec.limits == asked.limits
                                                                 : share_consumer(x.spec, asked);
  if (agree)
    return {};
  const auto mine = consumer_text(x.spec);
  const auto theirs = consumer_text(asked);
  return make_error(
      ec::subscription_conflict,
      fmt::format("queue '{}' is consumed here {}; {} asks for it {}: subscribe alike or name "
                  "another queue",
                  x.queue, mine, to_string(what),
                  mine == theirs ? "with other limits, retries or dead letters" : theirs));
}

event_handler& subscription_table::add(subscription what, subscriber_id who,
                                       subscription_id known_as) {
  auto queue = queue_name(settings_, what);
  // A feed goes on by credit: answers would say nothing more.
  if (settings_.feeds && is_feed(what))
    what.no_ack = true;
  const auto known = reads_stream(what) ? by_queue_.end() : by_queue_.find(queue);
  const auto consumer =
      known != by_queue_.end() ? known->second : add_consumer(what, std::move(queue));
  auto& from = consumers_.at(consumer);
  auto* place = find_place(from, what);
  auto& x = place ? *place : add_handler(consumer, what);
  x.window = delivery_window<offered_event>{what.window};
  x.spec = std::move(what);
  x.subscriber = who;
  x.established = false;
  x.counters.id = known_as;
  known_.emplace(known_as, x.id());
  strategies_[who].insert(x.id());
  if (!from.has_bound(x.spec))
    want(consumer, from, x.spec);
  return x;
}

event_handler* subscription_table::find_known(subscription_id known_as) {
  const auto found = known_.find(known_as);
  return found == known_.end() ? nullptr : find(found->second);
}

amqp::consumer_id subscription_table::add_consumer(const subscription& what, std::string queue) {
  const auto id = make_consumer_id(++last_consumer_, what);
  if (!queue.empty())
    by_queue_.emplace(queue, id);
  auto& x = consumers_[id];
  x.queue_name = queue;
  x.spec = what;
  const auto fails_apart =
      what.error == error_policy::dead_letter || what.error == error_policy::retry;
  if (what.ack == ack_policy::on_success && fails_apart)
    x.plan = std::make_shared<const failure_plan>(failure_plan{queue, what.error, what.retry});
  x.queue = std::move(queue);
  return id;
}

event_handler& subscription_table::add_handler(amqp::consumer_id consumer,
                                               const subscription& what) {
  const auto id = ++last_subscription_;
  auto& x = handlers_[id];
  x.spec = what;
  x.consumer = consumer;
  x.number = id;
  auto& from = consumers_.at(consumer);
  from.members.push_back(id);
  from.handlers.insert(id, what.exchange, what.routing_key);
  return x;
}

event_handler* subscription_table::find_place(const shared_consumer& from,
                                              const subscription& what) {
  for (auto id : from.members)
    if (auto& x = handlers_.at(id); x.subscriber == 0 && is_same_place(x.spec, what))
      return &x;
  return nullptr;
}

bool subscription_table::keep_place(subscription_id id, time_point until) {
  const auto& ended = handlers_.at(id);
  const auto is_kept =
      ended.spec.kind == queue_kind::durable || ended.spec.kind == queue_kind::quorum;
  if (!is_kept || !ended.established || ended.spec.ack != ack_policy::on_success || ends_)
    return false;
  auto& place = add_handler(ended.consumer, ended.spec);
  place.established = true;
  place.kept_until = until;
  return true;
}

bool subscription_table::is_last(subscription_id id) const {
  const auto& members = consumers_.at(handlers_.at(id).consumer).members;
  return std::none_of(members.begin(), members.end(), [&](auto other) {
    return other != id && handlers_.at(other).subscriber != 0;
  });
}

void subscription_table::remove(subscription_id id, ending how) {
  auto& x = handlers_.at(id);
  x.removed = true;
  known_.erase(x.counters.id);
  take_out(x);
  auto& from = consumers_.at(x.consumer);
  if (from.members.empty()) {
    if (!ends_) // else it is being retired, or was
      retire(x.consumer, from);
    forget_queue(x.consumer, from.queue);
    consumers_.erase(x.consumer);
  } else if (how == ending::strategy_ended && from.spec.kind != queue_kind::transient) {
    // The binding of a queue that is kept stays: what comes until the strategy is back
    // waits for it.
  } else if (from.handlers.bound_to(x.spec.exchange, x.spec.routing_key).empty()) {
    amqp::binding unused{x.spec.exchange, from.queue, x.spec.routing_key};
    from.bound.erase(unused);
    wishes_.emplace_back(unwanted_binding{x.consumer, std::move(unused)});
  }
}

void subscription_table::drop_place(subscription_id id) {
  take_out(handlers_.at(id));
  handlers_.erase(id);
}

void subscription_table::take_out(event_handler& x) {
  auto& from = consumers_.at(x.consumer);
  from.handlers.erase(x.id(), x.spec.exchange, x.spec.routing_key);
  std::erase(from.members, x.id());
}

std::vector<subscription_id> subscription_table::places(const shared_consumer& x) const {
  std::vector<subscription_id> result;
  std::copy_if(x.members.begin(), x.members.end(), std::back_inserter(result),
               [this](auto id) { return handlers_.at(id).subscriber == 0; });
  return result;
}

subscriber_id subscription_table::forget(subscription_id id) {
  const auto x = handlers_.extract(id);
  const auto who = x.mapped().subscriber;
  const auto i = strategies_.find(who);
  if (i == strategies_.end() || i->second.erase(id) == 0 || !i->second.empty())
    return 0;
  strategies_.erase(i);
  return who;
}

std::set<subscription_id> subscription_table::forget_strategy(subscriber_id who) {
  auto x = strategies_.extract(who);
  return x.empty() ? std::set<subscription_id>{} : std::move(x.mapped());
}

const std::set<subscription_id>& subscription_table::of(subscriber_id who) const {
  static const std::set<subscription_id> none;
  const auto i = strategies_.find(who);
  return i == strategies_.end() ? none : i->second;
}

// -- consumers ----------------------------------------------------------------------------

void subscription_table::want(amqp::consumer_id id, const shared_consumer& x,
                              const subscription& what, bool goes_on) {
  if (busy_queues_.contains(x.queue))
    return; // until `retired`
  wanted_consumer wanted;
  wanted.consumer = {
      .id = id, .queue = x.queue, .prefetch_count = x.spec.prefetch_count, .no_ack = x.spec.no_ack};
  if (reads_stream(x.spec))
    wanted.consumer.arguments = {
        {"x-stream-offset", x.next_offset ? amqp::field_value{*x.next_offset} : x.spec.offset}};
  wanted.queue =
      settings_.feeds && is_feed(x.spec) ? feed_queue(x.spec, x.queue) : queue_for(x.spec, x.queue);
  wanted.companion_queues = companion_queues(x.spec, wanted.queue);
  if (x.sets_aside_since)
    wanted.companion_queues.push_back(unmatched_queue(wanted.queue));
  wanted.binding = {what.exchange, x.queue, what.routing_key};
  wanted.durable_exchange = what.durable_exchange;
  wanted.goes_on = goes_on;
  wishes_.emplace_back(std::move(wanted));
}

void subscription_table::set_aside(amqp::consumer_id id, shared_consumer& x, time_point now) {
  x.sets_aside_since = now;
  want(id, x, handlers_.at(x.members.front()).spec);
}

void subscription_table::retire(amqp::consumer_id id, const shared_consumer& x) {
  if (busy_queues_.contains(x.queue))
    return; // it was never wanted
  wishes_.emplace_back(unwanted_consumer{id});
  // To a stream nothing goes back: its next reader need not wait.
  const auto awaited = reads_stream(x.spec) ? std::string{} : x.queue;
  retiring_.emplace(id, awaited);
  if (!awaited.empty())
    busy_queues_.insert(awaited);
}

void subscription_table::retire_all() {
  ends_ = true;
  for (auto& [id, x] : consumers_)
    if (!is_retiring(id))
      retire(id, x);
}

void subscription_table::retired(amqp::consumer_id id) {
  auto former = retiring_.extract(id);
  if (former.empty())
    return;
  busy_queues_.erase(former.mapped());
  const auto next = by_queue_.find(former.mapped());
  if (ends_ || next == by_queue_.end())
    return;
  auto& x = consumers_.at(next->second);
  for (auto member : x.members)
    want(next->second, x, handlers_.at(member).spec);
}

void subscription_table::forget_queue(amqp::consumer_id id, const std::string& queue) {
  auto [i, last] = by_queue_.equal_range(queue);
  while (i != last)
    i = i->second == id ? by_queue_.erase(i) : std::next(i);
}

// -- what the broker says -----------------------------------------------------------------

std::vector<subscription_id> subscription_table::apply(const consumer_state& x) {
  auto& from = consumers_.at(x.id);
  if (x.error && x.binding) {
    from.bound.erase(*x.binding);
  } else if (x.error) {
    from.bound.clear();
  } else {
    from.queue_name = x.queue;
    if (x.abandoned_offset && x.abandoned_offset == from.next_offset) // else some has come already
      from.next_offset = 0;
    if (x.binding)
      from.bound.insert(*x.binding);
    if (x.binding && x.assumed)
      from.assumed.insert(*x.binding);
    else if (x.binding)
      from.assumed.erase(*x.binding);
  }
  return x.binding ? from.handlers.bound_to(x.binding->exchange, x.binding->routing_key)
                   : from.members;
}

void subscription_table::lost(shared_consumer& x) {
  x.bound.clear();
  x.assumed.clear();
  x.generation = 0;
}

void subscription_table::resume_stream(amqp::consumer_id id, shared_consumer& x,
                                       std::optional<std::int64_t> first) {
  if (!reads_stream(x.spec) || !x.next_offset)
    return;
  if (first)
    x.next_offset = std::min(*x.next_offset, *first);
  for (auto member : x.members)
    want(id, x, handlers_.at(member).spec, true);
}

} // namespace actors
