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

std::string_view text_of(queue_kind kind) noexcept {
  switch (kind) {
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

/// Describes the settings on which subscriptions of one queue must agree, for an error's text.
std::string consumer_text(const subscription& x) {
  return fmt::format("as a {} queue with prefetch count {}{}", text_of(x.kind), x.prefetch_count,
                     x.no_ack ? " and no_ack" : "");
}

/// Each reader of a stream has its own consumer, as each begins at its own offset.
bool reads_stream(const subscription& x) noexcept {
  return x.kind == queue_kind::stream;
}

bool is_same_place(const subscription& one, const subscription& other) {
  return one.exchange == other.exchange && one.routing_key == other.routing_key
         && one.codec == other.codec && one.subject == other.subject && one.ack == other.ack
         && one.has_delivery_info == other.has_delivery_info;
}

} // namespace

std::string queue_name(const dispatcher_settings& settings, const subscription& spec) {
  if (spec.queue)
    return *spec.queue;
  auto result = fmt::format("{}.{}.{}", settings.server_id, spec.exchange, spec.routing_key);
  if (!settings.instance.empty())
    result += '.' + settings.instance;
  if (settings.feeds && is_feed(spec))
    result += ".feed";
  return result;
}

subscription_table::subscription_table(dispatcher_settings settings)
    : settings_(std::move(settings)) {
  // nop
}

// -- what strategies ask for --------------------------------------------------------------

caf::error subscription_table::check(const subscription& spec) const {
  if (auto refused = actors::check(spec))
    return refused;
  return conflict(spec, queue_name(settings_, spec));
}

caf::error subscription_table::conflict(const subscription& spec, const std::string& queue) const {
  if (auto unsayable = amqp::check(amqp::declare_queue{queue_for(spec, queue)}))
    return make_error(std::move(unsayable));
  const auto known = by_queue_.find(queue);
  if (known == by_queue_.end())
    return {};
  auto asked = spec;
  asked.no_ack = spec.no_ack || (settings_.feeds && is_feed(spec));
  auto& consumer = consumers_.at(known->second);
  const auto agree = reads_stream(consumer.spec) && reads_stream(asked)
                         ? consumer.spec.limits == asked.limits
                         : share_consumer(consumer.spec, asked);
  if (agree)
    return {};
  const auto mine = consumer_text(consumer.spec);
  const auto theirs = consumer_text(asked);
  return make_error(
      ec::subscription_conflict,
      fmt::format("queue '{}' is consumed here {}; {} asks for it {}: subscribe alike or name "
                  "another queue",
                  consumer.queue, mine, to_string(spec),
                  mine == theirs ? "with other limits, retries or dead letters" : theirs));
}

event_handler& subscription_table::add(subscription spec, subscriber_id who,
                                       subscription_id known_as) {
  auto queue = queue_name(settings_, spec);
  // A feed is paced by credit: acknowledgements would add nothing.
  if (settings_.feeds && is_feed(spec))
    spec.no_ack = true;
  const auto known = reads_stream(spec) ? by_queue_.end() : by_queue_.find(queue);
  const auto consumer =
      known != by_queue_.end() ? known->second : add_consumer(spec, std::move(queue));
  auto& from = consumers_.at(consumer);
  auto* place = find_place(from, spec);
  auto& handler = place ? *place : add_handler(consumer, spec);
  handler.window = delivery_window<offered_event>{spec.window};
  handler.spec = std::move(spec);
  handler.subscriber = who;
  handler.established = false;
  handler.counters.id = known_as;
  known_.emplace(known_as, handler.id());
  strategies_[who].insert(handler.id());
  if (!from.has_bound(handler.spec))
    want(consumer, from, handler.spec);
  return handler;
}

event_handler* subscription_table::find_known(subscription_id known_as) {
  const auto found = known_.find(known_as);
  return found == known_.end() ? nullptr : find(found->second);
}

amqp::consumer_id subscription_table::add_consumer(const subscription& spec, std::string queue) {
  const auto id = make_consumer_id(++last_consumer_, spec);
  if (!queue.empty())
    by_queue_.emplace(queue, id);
  auto& consumer = consumers_[id];
  consumer.queue_name = queue;
  consumer.spec = spec;
  const auto fails_apart =
      spec.error == error_policy::dead_letter || spec.error == error_policy::retry;
  if (spec.ack == ack_policy::on_success && fails_apart)
    consumer.plan =
        std::make_shared<const failure_plan>(failure_plan{queue, spec.error, spec.retry});
  consumer.queue = std::move(queue);
  return id;
}

event_handler& subscription_table::add_handler(amqp::consumer_id consumer,
                                               const subscription& spec) {
  const auto id = ++last_subscription_;
  auto& handler = handlers_[id];
  handler.spec = spec;
  handler.consumer = consumer;
  handler.number = id;
  auto& from = consumers_.at(consumer);
  from.members.push_back(id);
  from.handlers.insert(id, spec.exchange, spec.routing_key);
  return handler;
}

event_handler* subscription_table::find_place(const shared_consumer& from,
                                              const subscription& spec) {
  for (auto id : from.members)
    if (auto& handler = handlers_.at(id);
        handler.subscriber == 0 && is_same_place(handler.spec, spec))
      return &handler;
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

void subscription_table::remove(subscription_id id, ending kind) {
  auto& handler = handlers_.at(id);
  handler.removed = true;
  known_.erase(handler.counters.id);
  take_out(handler);
  auto& from = consumers_.at(handler.consumer);
  if (from.members.empty()) {
    if (!ends_) // else it is being retired, or was
      retire(handler.consumer, from);
    forget_queue(handler.consumer, from.queue);
    consumers_.erase(handler.consumer);
  } else if (kind == ending::strategy_ended && from.spec.kind != queue_kind::transient) {
    // The binding of a queue that outlives its consumers stays: messages that come until the
    // strategy is back wait for it.
  } else if (from.handlers.bound_to(handler.spec.exchange, handler.spec.routing_key).empty()) {
    amqp::binding unused{handler.spec.exchange, from.queue, handler.spec.routing_key};
    from.bound.erase(unused);
    wishes_.emplace_back(unwanted_binding{handler.consumer, std::move(unused)});
  }
}

void subscription_table::drop_place(subscription_id id) {
  take_out(handlers_.at(id));
  handlers_.erase(id);
}

void subscription_table::take_out(event_handler& handler) {
  auto& from = consumers_.at(handler.consumer);
  from.handlers.erase(handler.id(), handler.spec.exchange, handler.spec.routing_key);
  std::erase(from.members, handler.id());
}

std::vector<subscription_id> subscription_table::places(const shared_consumer& consumer) const {
  std::vector<subscription_id> result;
  std::copy_if(consumer.members.begin(), consumer.members.end(), std::back_inserter(result),
               [this](auto id) { return handlers_.at(id).subscriber == 0; });
  return result;
}

subscriber_id subscription_table::forget(subscription_id id) {
  const auto entry = handlers_.extract(id);
  const auto who = entry.mapped().subscriber;
  const auto i = strategies_.find(who);
  if (i == strategies_.end() || i->second.erase(id) == 0 || !i->second.empty())
    return 0;
  strategies_.erase(i);
  return who;
}

std::set<subscription_id> subscription_table::forget_strategy(subscriber_id who) {
  auto entry = strategies_.extract(who);
  return entry.empty() ? std::set<subscription_id>{} : std::move(entry.mapped());
}

const std::set<subscription_id>& subscription_table::of(subscriber_id who) const {
  static const std::set<subscription_id> none;
  const auto i = strategies_.find(who);
  return i == strategies_.end() ? none : i->second;
}

// -- consumers ----------------------------------------------------------------------------

void subscription_table::want(amqp::consumer_id id, const shared_consumer& consumer,
                              const subscription& spec, bool goes_on) {
  if (busy_queues_.contains(consumer.queue))
    return; // until `retired` is called
  wanted_consumer wanted;
  wanted.consumer = {.id = id,
                     .queue = consumer.queue,
                     .prefetch_count = consumer.spec.prefetch_count,
                     .no_ack = consumer.spec.no_ack};
  if (reads_stream(consumer.spec))
    wanted.consumer.arguments = {{"x-stream-offset", consumer.next_offset
                                                         ? amqp::field_value{*consumer.next_offset}
                                                         : consumer.spec.offset}};
  wanted.queue = settings_.feeds && is_feed(consumer.spec)
                     ? feed_queue(consumer.spec, consumer.queue)
                     : queue_for(consumer.spec, consumer.queue);
  wanted.companion_queues = companion_queues(consumer.spec, wanted.queue);
  if (consumer.sets_aside_since)
    wanted.companion_queues.push_back(unmatched_queue(wanted.queue));
  wanted.binding = {spec.exchange, consumer.queue, spec.routing_key};
  wanted.durable_exchange = spec.durable_exchange;
  wanted.goes_on = goes_on;
  wishes_.emplace_back(std::move(wanted));
}

void subscription_table::set_aside(amqp::consumer_id id, shared_consumer& consumer,
                                   time_point now) {
  consumer.sets_aside_since = now;
  want(id, consumer, handlers_.at(consumer.members.front()).spec);
}

void subscription_table::retire(amqp::consumer_id id, const shared_consumer& consumer) {
  if (busy_queues_.contains(consumer.queue))
    return; // the consumer was never wanted
  wishes_.emplace_back(unwanted_consumer{id});
  // No message goes back to a stream, so its next reader need not wait.
  const auto awaited = reads_stream(consumer.spec) ? std::string{} : consumer.queue;
  retiring_.emplace(id, awaited);
  if (!awaited.empty())
    busy_queues_.insert(awaited);
}

void subscription_table::retire_all() {
  ends_ = true;
  for (auto& [id, consumer] : consumers_)
    if (!is_retiring(id))
      retire(id, consumer);
}

void subscription_table::retired(amqp::consumer_id id) {
  auto former = retiring_.extract(id);
  if (former.empty())
    return;
  busy_queues_.erase(former.mapped());
  const auto next = by_queue_.find(former.mapped());
  if (ends_ || next == by_queue_.end())
    return;
  auto& consumer = consumers_.at(next->second);
  for (auto member : consumer.members)
    want(next->second, consumer, handlers_.at(member).spec);
}

void subscription_table::forget_queue(amqp::consumer_id id, const std::string& queue) {
  auto [i, last] = by_queue_.equal_range(queue);
  while (i != last)
    i = i->second == id ? by_queue_.erase(i) : std::next(i);
}

// -- what the broker says -----------------------------------------------------------------

std::vector<subscription_id> subscription_table::apply(const consumer_state& state) {
  auto& from = consumers_.at(state.id);
  if (state.error && state.binding) {
    from.bound.erase(*state.binding);
  } else if (state.error) {
    from.bound.clear();
  } else {
    from.queue_name = state.queue;
    if (state.abandoned_offset
        && state.abandoned_offset == from.next_offset) // else some has come already
      from.next_offset = 0;
    if (state.binding)
      from.bound.insert(*state.binding);
    if (state.binding && state.assumed)
      from.assumed.insert(*state.binding);
    else if (state.binding)
      from.assumed.erase(*state.binding);
  }
  return state.binding ? from.handlers.bound_to(state.binding->exchange, state.binding->routing_key)
                       : from.members;
}

void subscription_table::lost(shared_consumer& consumer) {
  consumer.bound.clear();
  consumer.assumed.clear();
  consumer.generation = 0;
}

void subscription_table::resume_stream(amqp::consumer_id id, shared_consumer& consumer,
                                       std::optional<std::int64_t> first) {
  if (!reads_stream(consumer.spec) || !consumer.next_offset)
    return;
  if (first)
    consumer.next_offset = std::min(*consumer.next_offset, *first);
  for (auto member : consumer.members)
    want(id, consumer, handlers_.at(member).spec, true);
}

} // namespace actors
