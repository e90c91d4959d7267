#include "delivery/stream_tracker.hpp"

#include <algorithm>
#include <iterator>

namespace actors {

namespace {

/// How many notices may wait for one strategy.
constexpr std::size_t max_notices = 100;

/// Widens `gap` by `next`, if the two touch.
bool widen(stream_gap& gap, const stream_gap& next) {
  if (gap.exchange != next.exchange || gap.routing_key != next.routing_key
      || gap.to + 1 != next.from)
    return false;
  gap.to = next.to;
  return true;
}

} // namespace

void append(std::vector<stream_notice>& out, stream_notice notice) {
  auto* next = std::get_if<stream_gap>(&notice);
  auto* last = out.empty() ? nullptr : std::get_if<stream_gap>(&out.back());
  if (next && last && widen(*last, *next))
    return;
  if (out.size() >= max_notices)
    out.erase(out.begin());
  out.push_back(std::move(notice));
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
  if (!position || position->sequence == 0) // no publisher counts from 0
    return result;
  const auto sequence = position->sequence;
  auto* publisher = find_track(from, position->epoch);
  if (!publisher)
    publisher = add_track(from, *position, result.before);
  if (!publisher)
    return result;
  if (sequence > publisher->highest) {
    if (sequence - publisher->highest > 1)
      result.before.emplace_back(
          stream_gap{from.exchange, from.routing_key, publisher->highest + 1, sequence - 1});
    publisher->highest = sequence;
  } else if (publisher->handled.contains(sequence)) {
    result.outcome = verdict::handled;
    return result;
  } else if (publisher->in_hand.contains(sequence)) {
    result.outcome = verdict::in_hand;
    return result;
  }
  publisher->in_hand.insert(sequence);
  return result;
}

void stream_tracker::handled(std::string_view exchange, std::string_view routing_key,
                             const std::optional<amqp::stream_position>& position) {
  auto* publisher = find_track({exchange, routing_key}, position);
  if (!publisher)
    return;
  const auto before = publisher->handled.ranges();
  publisher->in_hand.erase(position->sequence);
  publisher->handled.insert(position->sequence);
  if (publisher->handled.ranges() == before)
    return;
  ranges_ += publisher->handled.ranges(); // the number may have shrunk
  ranges_ -= before;
  bound_ranges(*publisher);
}

void stream_tracker::failed(std::string_view exchange, std::string_view routing_key,
                            const std::optional<amqp::stream_position>& position) {
  if (auto* publisher = find_track({exchange, routing_key}, position))
    publisher->in_hand.erase(position->sequence);
}

// A very old message is better handled twice than lost, so no hole is closed. Many ranges go at
// once, so that a stream full of holes does not pay for each.
void stream_tracker::bound_ranges(track& publisher) {
  if (publisher.handled.ranges() > limits_.max_ranges) {
    const auto count = std::max<std::size_t>(limits_.max_ranges / 8, 1);
    publisher.handled.erase_lowest(count);
    ranges_ -= count;
    forgotten_ += count;
  }
  while (ranges_ > limits_.max_ranges_in_all && streams_.size() > 1)
    forget_oldest_stream();
}

void stream_tracker::forget_oldest_stream() {
  auto& oldest = streams_.front();
  for (auto& publisher : oldest.tracks) {
    ranges_ -= publisher.handled.ranges();
    forgotten_ += publisher.handled.ranges();
  }
  by_name_.erase({oldest.exchange, oldest.routing_key});
  streams_.pop_front();
}

std::vector<stream_stale> stream_tracker::stale(time_point now, std::chrono::milliseconds max_age) {
  std::vector<stream_stale> result;
  for (auto& silent : streams_) {
    const auto age = std::chrono::duration_cast<std::chrono::milliseconds>(now - silent.last_spoke);
    if (age < max_age)
      break; // all others spoke later
    if (!silent.told_stale)
      result.push_back({silent.exchange, silent.routing_key, age});
    silent.told_stale = true;
  }
  return result;
}

// Finds or adds a stream, and makes it the last one that spoke.
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
  auto* publisher = find_track(*i->second, position->epoch);
  return publisher && position->sequence <= publisher->highest ? publisher : nullptr;
}

stream_tracker::track* stream_tracker::find_track(stream& from, std::uint64_t epoch) noexcept {
  for (auto& publisher : from.tracks)
    if (publisher.epoch == epoch)
      return &publisher;
  return nullptr;
}

stream_tracker::track* stream_tracker::add_track(stream& from, const amqp::stream_position& first,
                                                 std::vector<stream_notice>& out) {
  const auto known = !from.tracks.empty();
  const auto restarted = known && first.epoch > from.newest_epoch;
  if (restarted)
    out.emplace_back(stream_restarted{from.exchange, from.routing_key, first.epoch});
  from.newest_epoch = std::max(from.newest_epoch, first.epoch);
  auto place = std::find_if(from.tracks.begin(), from.tracks.end(),
                            [&](const track& publisher) { return publisher.epoch < first.epoch; });
  if (from.tracks.size() >= limits_.max_epochs) {
    if (place == from.tracks.end())
      return nullptr;
    const auto index = place - from.tracks.begin();
    ranges_ -= from.tracks.back().handled.ranges();
    forgotten_ += from.tracks.back().handled.ranges();
    from.tracks.pop_back();
    place = from.tracks.begin() + index;
  }
  track added;
  added.epoch = first.epoch;
  added.highest = restarted ? 0 : first.sequence - 1;
  return &*from.tracks.insert(place, std::move(added));
}

} // namespace actors
