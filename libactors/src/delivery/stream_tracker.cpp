#include "delivery/stream_tracker.hpp"

#include <algorithm>
#include <iterator>

namespace actors {

namespace {

/// How many notices may wait for one strategy.
constexpr std::size_t max_notices = 100;

/// Widens the gap `x` by the gap `y`, if they touch.
bool widen(stream_gap& x, const stream_gap& y) {
  if (x.exchange != y.exchange || x.routing_key != y.routing_key || x.to + 1 != y.from)
    return false;
  x.to = y.to;
  return true;
}

} // namespace

void append(std::vector<stream_notice>& out, stream_notice x) {
  auto* next = std::get_if<stream_gap>(&x);
  auto* last = out.empty() ? nullptr : std::get_if<stream_gap>(&out.back());
  if (next && last && widen(*last, *next))
    return;
  if (out.size() >= max_notices)
    out.erase(out.begin());
  out.push_back(std::move(x));
}

stream_tracker::stream_tracker(stream_limits limits) noexcept : limits_(limits) {
  limits_.max_ranges = std::max<std::size_t>(limits_.max_ranges, 1);
  limits_.max_ranges_in_all = std::max<std::size_t>(limits_.max_ranges_in_all, 1);
  limits_.max_streams = std::max<std::size_t>(limits_.max_streams, 1);
  limits_.max_epochs = std::max<std::size_t>(limits_.max_epochs, 1);
}

stream_tracker::arrival
stream_tracker::arrived(std::string_view exchange, std::string_view routing_key,
                        const std::optional<amqp::stream_position>& position, time_point now) {
  auto& from = touch({exchange, routing_key}, now);
  arrival result;
  if (!position || position->sequence == 0) // none counts from 0
    return result;
  const auto sequence = position->sequence;
  auto* x = find_track(from, position->epoch);
  if (!x)
    x = add_track(from, *position, result.before);
  if (!x)
    return result;
  if (sequence > x->highest) {
    if (sequence - x->highest > 1)
      result.before.emplace_back(
          stream_gap{from.exchange, from.routing_key, x->highest + 1, sequence - 1});
    x->highest = sequence;
  } else if (x->handled.contains(sequence)) {
    result.outcome = verdict::handled;
    return result;
  } else if (x->in_hand.contains(sequence)) {
    result.outcome = verdict::in_hand;
    return result;
  }
  x->in_hand.insert(sequence);
  return result;
}

void stream_tracker::handled(std::string_view exchange, std::string_view routing_key,
                             const std::optional<amqp::stream_position>& position) {
  auto* x = find_track({exchange, routing_key}, position);
  if (!x)
    return;
  const auto before = x->handled.ranges();
  x->in_hand.erase(position->sequence);
  x->handled.insert(position->sequence);
  if (x->handled.ranges() == before)
    return;
  ranges_ += x->handled.ranges(); // less is possible as well
  ranges_ -= before;
  bound_ranges(*x);
}

void stream_tracker::failed(std::string_view exchange, std::string_view routing_key,
                            const std::optional<amqp::stream_position>& position) {
  if (auto* x = find_track({exchange, routing_key}, position))
    x->in_hand.erase(position->sequence);
}

// To handle a very old message twice is better than to lose one: no hole is closed. Many
// go at once, so that a stream which is all holes does not pay for each.
void stream_tracker::bound_ranges(track& x) {
  if (x.handled.ranges() > limits_.max_ranges) {
    const auto count = std::max<std::size_t>(limits_.max_ranges / 8, 1);
    x.handled.erase_lowest(count);
    ranges_ -= count;
    forgotten_ += count;
  }
  while (ranges_ > limits_.max_ranges_in_all && streams_.size() > 1)
    forget_oldest_stream();
}

void stream_tracker::forget_oldest_stream() {
  auto& oldest = streams_.front();
  for (auto& x : oldest.tracks) {
    ranges_ -= x.handled.ranges();
    forgotten_ += x.handled.ranges();
  }
  by_name_.erase({oldest.exchange, oldest.routing_key});
  streams_.pop_front();
}

std::vector<stream_stale> stream_tracker::stale(time_point now, std::chrono::milliseconds max_age) {
  std::vector<stream_stale> result;
  for (auto& x : streams_) {
    const auto age = std::chrono::duration_cast<std::chrono::milliseconds>(now - x.last_spoke);
    if (age < max_age)
      break; // all others spoke later
    if (!x.told_stale)
      result.push_back({x.exchange, x.routing_key, age});
    x.told_stale = true;
  }
  return result;
}

// Finds or adds a stream, and makes it the one that spoke last.
stream_tracker::stream& stream_tracker::touch(const stream_name& name, time_point now) {
  if (auto i = by_name_.find(name); i != by_name_.end()) {
    streams_.splice(streams_.end(), streams_, i->second);
  } else {
    if (streams_.size() >= limits_.max_streams)
      forget_oldest_stream();
    auto& added = streams_.emplace_back();
    added.exchange = name.exchange;
    added.routing_key = name.routing_key;
    by_name_.emplace(stream_name{added.exchange, added.routing_key}, std::prev(streams_.end()));
  }
  auto& result = streams_.back();
  result.last_spoke = now;
  result.told_stale = false;
  return result;
}

stream_tracker::track*
stream_tracker::find_track(const stream_name& name,
                           const std::optional<amqp::stream_position>& position) {
  if (!position || position->sequence == 0)
    return nullptr;
  auto i = by_name_.find(name);
  if (i == by_name_.end())
    return nullptr;
  auto* x = find_track(*i->second, position->epoch);
  return x && position->sequence <= x->highest ? x : nullptr;
}

stream_tracker::track* stream_tracker::find_track(stream& x, std::uint64_t epoch) noexcept {
  for (auto& y : x.tracks)
    if (y.epoch == epoch)
      return &y;
  return nullptr;
}

stream_tracker::track* stream_tracker::add_track(stream& x, const amqp::stream_position& first,
                                                 std::vector<stream_notice>& out) {
  const auto known = !x.tracks.empty();
  const auto restarted = known && first.epoch > x.newest_epoch;
  if (restarted)
    out.emplace_back(stream_restarted{x.exchange, x.routing_key, first.epoch});
  x.newest_epoch = std::max(x.newest_epoch, first.epoch);
  auto place = std::find_if(x.tracks.begin(), x.tracks.end(),
                            [&](const track& y) { return y.epoch < first.epoch; });
  if (x.tracks.size() >= limits_.max_epochs) {
    if (place == x.tracks.end())
      return nullptr;
    const auto index = place - x.tracks.begin();
    ranges_ -= x.tracks.back().handled.ranges();
    forgotten_ += x.tracks.back().handled.ranges();
    x.tracks.pop_back();
    place = x.tracks.begin() + index;
  }
  track added;
  added.epoch = first.epoch;
  added.highest = restarted ? 0 : first.sequence - 1;
  return &*x.tracks.insert(place, std::move(added));
}

} // namespace actors
