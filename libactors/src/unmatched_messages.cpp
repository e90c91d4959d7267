#include "actors/unmatched_messages.hpp"

#include <algorithm>
#include <functional>
#include <string_view>

#include "actors/retry.hpp"

namespace actors {

namespace {

using namespace std::chrono_literals;

/// How often a message is given back before it goes to the end of its queue.
constexpr std::uint32_t max_returns = 3;

/// How often it goes there before it is a dead letter: half a minute for one, longer if
/// there are many.
constexpr std::uint32_t max_rounds = 300;

/// Between two that go back, so that others pass.
constexpr auto return_distance = 10ms;
constexpr auto round_distance = 100ms;

constexpr std::size_t max_seen = 10'000;

std::size_t fingerprint(const amqp::delivery& x) noexcept {
  const std::hash<std::string_view> hash;
  auto result = hash(x.exchange);
  for (std::string_view part :
       {std::string_view{x.routing_key}, std::string_view{x.properties.message_id},
        std::string_view{x.body}})
    result = result * 31 + hash(part);
  return result;
}

} // namespace

unmatched_messages::verdict unmatched_messages::judge(const amqp::delivery& x,
                                                      bool has_dead_letters, time_point now) {
  const auto round = unmatched_rounds_of(x.properties);
  if (round == 0) {
    if (seen_.size() >= max_seen)
      seen_.clear();
    const auto count = ++seen_[fingerprint(x)];
    if (count == 1)
      return {}; // whoever is next gets it at once
    if (count <= max_returns)
      return {fate::release, next_slot(now, return_distance), 0};
    seen_.erase(fingerprint(x));
  }
  if (round >= max_rounds && has_dead_letters)
    return {fate::dead_letter, 0ms, round};
  return {fate::end_of_queue, next_slot(now, round == 0 ? return_distance : round_distance),
          round + 1};
}

std::chrono::milliseconds unmatched_messages::next_slot(time_point now,
                                                        std::chrono::milliseconds distance) {
  next_ = std::max(next_, now) + distance;
  return std::chrono::ceil<std::chrono::milliseconds>(next_ - now);
}

} // namespace actors
