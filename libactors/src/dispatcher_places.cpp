#include <algorithm>

#include "actors/dispatcher.hpp"

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
         && x.kline_type == y.kline_type && x.ack == y.ack;
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

// In the order in which it came.
void dispatcher_state::hand_over_held(subscription_id id) {
  auto& to = handlers_.at(id);
  for (auto& x : std::exchange(to.held, {})) {
    const auto place = follow_stream(to, x.about);
    if (place == stream_tracker::verdict::fresh) {
      ask(to, x.what, x.key, origin_of(x.about));
      continue;
    }
    ++to.counters.duplicates;
    if (auto done = deliveries_.answered(x.key, id, verdict::ack, {}))
      finish(x.key, *done);
  }
}

void dispatcher_state::answer_held(handler& place, verdict what) {
  for (auto& x : std::exchange(place.held, {}))
    if (auto done = deliveries_.answered(x.key, place.counters.id, what, {}))
      finish(x.key, *done);
}

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
