#include "actors/stream_tracker.hpp"

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
  limits_.window = std::max<std::size_t>(limits_.window, 1);
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
    advance(*x, sequence);
  } else if (!remembers(*x, sequence)) {
    return result;
  }
  const auto place = sequence % limits_.window;
  if (x->handled[place])
    result.what = verdict::handled;
  else if (x->in_hand[place])
    result.what = verdict::in_hand;
  else
    x->in_hand[place] = true;
  return result;
}

void stream_tracker::handled(std::string_view exchange, std::string_view routing_key,
                             const std::optional<amqp::stream_position>& position) {
  if (auto* x = find_track({exchange, routing_key}, position))
    x->handled[position->sequence % limits_.window] = true;
}

void stream_tracker::failed(std::string_view exchange, std::string_view routing_key,
                            const std::optional<amqp::stream_position>& position) {
  if (auto* x = find_track({exchange, routing_key}, position))
    x->in_hand[position->sequence % limits_.window] = false;
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
    if (streams_.size() >= limits_.max_streams) {
      by_name_.erase({streams_.front().exchange, streams_.front().routing_key});
      streams_.pop_front();
    }
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
  if (!position)
    return nullptr;
  auto i = by_name_.find(name);
  if (i == by_name_.end())
    return nullptr;
  auto* x = find_track(*i->second, position->epoch);
  return x && remembers(*x, position->sequence) ? x : nullptr;
}

stream_tracker::track* stream_tracker::find_track(stream& x, std::uint64_t epoch) noexcept {
  for (auto& y : x.tracks)
    if (y.epoch == epoch)
      return &y;
  return nullptr;
}

stream_tracker::track* stream_tracker::add_track(stream& x, const amqp::stream_position& first,
                                                 std::vector<stream_notice>& out) const {
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
    x.tracks.pop_back();
  }
  track added;
  added.epoch = first.epoch;
  added.highest = restarted ? 0 : first.sequence - 1;
  added.in_hand.resize(limits_.window);
  added.handled.resize(limits_.window);
  return &*x.tracks.insert(place, std::move(added));
}

// The places of the new sequences hold those of `window` before.
void stream_tracker::advance(track& x, std::uint64_t sequence) const {
  const auto count = std::min<std::uint64_t>(sequence - x.highest, limits_.window);
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto place = (sequence - i) % limits_.window;
    x.in_hand[place] = false;
    x.handled[place] = false;
  }
  x.highest = sequence;
}

bool stream_tracker::remembers(const track& x, std::uint64_t sequence) const noexcept {
  return sequence != 0 && sequence <= x.highest && x.highest - sequence < limits_.window;
}

} // namespace actors
