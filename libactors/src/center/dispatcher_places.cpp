#include <algorithm>

#include "center/dispatcher.hpp"

// Where several strategies share a queue that is kept, and one of them ends: what the others get
// meanwhile stays unacknowledged, until that one is back or has been away for too long.

namespace actors {

namespace {

using namespace std::chrono_literals;
using verdict = ack_window::verdict;

/// How long a strategy may be away.
constexpr auto longest_absence = 5s;

bool is_same_place(const subscription& x, const subscription& y) {
  return x.exchange == y.exchange && x.routing_key == y.routing_key && x.codec == y.codec
         && x.subject == y.subject && x.ack == y.ack;
}

amqp::delivery without_body(const amqp::delivery& x) {
  amqp::delivery result;
  result.exchange = x.exchange;
  result.routing_key = x.routing_key;
  result.properties.position = x.properties.position;
  return result;
}

} // namespace

// Under an id of its own, as what the former strategy was asked may still be answered.
void dispatcher_state::keep_place(subscription_id id) {
  auto& ended = handlers_.at(id);
  auto& from = consumers_.at(ended.consumer);
  const auto is_kept =
      ended.what.kind == queue_kind::durable || ended.what.kind == queue_kind::quorum;
  if (!is_kept || !ended.established || ended.what.ack != ack_policy::on_success || draining_)
    return;
  auto& place = handlers_.at(add_handler(ended.consumer, from, ended.what));
  place.established = true;
  place.kept_until = self_->clock().now() + longest_absence;
  schedule_tick();
}

// Gives back 0 if there is none.
subscription_id dispatcher_state::take_place(const consumer& from, const subscription& what) {
  for (auto id : from.members)
    if (auto& x = handlers_.at(id); !x.subscriber && is_same_place(x.what, what))
      return id;
  return 0;
}

// -- what is held for a strategy that is away or late -------------------------------------------

void dispatcher_state::hold(handler& to, const amqp::delivery& x, const caf::message& what,
                            delivery_key key, open_delivery& open) {
  open.waiting.push_back(to.counters.id);
  if (!open.from)
    open.from = origin_of(x);
  to.held.emplace(key, held_message{without_body(x), what});
}

// In the order in which it came, and one for a try if the strategy is late.
void dispatcher_state::hand_over_held(handler& to) {
  while (!to.held.empty() && to.breaker.lets_pass(now_)) {
    const auto first = to.held.extract(to.held.begin());
    hand_over_held(to, first.key(), first.mapped());
  }
}

void dispatcher_state::hand_over_held(handler& to, delivery_key key, const held_message& x) {
  const auto id = to.counters.id;
  const auto place = follow_stream(to, x.about);
  if (place == stream_tracker::verdict::fresh)
    return ask(to, x.what, key, origin_of(x.about));
  if (place == stream_tracker::verdict::in_hand)
    return deliveries_.follow(id, *origin_of(x.about), key);
  ++to.counters.duplicates;
  if (auto done = deliveries_.answered(key, id, verdict::ack, {}))
    finish(key, *done);
}

void dispatcher_state::answer_held(handler& to, verdict what) {
  for (auto& [key, x] : std::exchange(to.held, {}))
    if (auto done = deliveries_.answered(key, to.counters.id, what, {}))
      finish(key, *done);
}

// It has waited for as long as a handler may take, and was not handled: no fault of its own, and
// others may be less late. Of a stream nobody else waits for it.
void dispatcher_state::give_back_held(handler& to, delivery_key key) {
  if (to.what.kind == queue_kind::stream)
    return;
  to.held.erase(key);
  if (auto done = deliveries_.answered(key, to.counters.id, verdict::release, {}))
    finish(key, *done);
}

// -- places -------------------------------------------------------------------------------------

void dispatcher_state::drop_place(subscription_id id, verdict what) {
  auto& place = handlers_.at(id);
  answer_held(place, what);
  auto& from = consumers_.at(place.consumer);
  from.handlers.erase(id, place.what.exchange, place.what.routing_key);
  std::erase(from.members, id);
  handlers_.erase(id);
}

void dispatcher_state::drop_places(const consumer& from, verdict what) {
  const auto members = from.members; // a copy
  for (auto id : members)
    if (!handlers_.at(id).subscriber)
      drop_place(id, what);
}

// Gives back whether any place is still kept.
bool dispatcher_state::drop_late_places() {
  std::vector<subscription_id> late;
  auto kept = false;
  for (auto& [id, x] : handlers_) {
    if (x.removed || x.subscriber)
      continue;
    if (x.kept_until <= now_)
      late.push_back(id);
    else
      kept = true;
  }
  for (auto id : late)
    drop_place(id, verdict::ack);
  return kept;
}

} // namespace actors
