#include "publishing/stream_numbers.hpp"

#include <utility>

namespace actors {

namespace {

constexpr auto random_bits = 12;

} // namespace

std::uint64_t make_epoch(std::chrono::system_clock::time_point now, std::uint32_t random) noexcept {
  using namespace std::chrono;
  const auto stamp = duration_cast<microseconds>(now.time_since_epoch()).count();
  return static_cast<std::uint64_t>(stamp) << random_bits | (random & ((1u << random_bits) - 1));
}

amqp::stream_position& stream_numbers::next(const std::string& exchange,
                                            const std::string& routing_key) {
  auto& x = find_or_add(exchange, routing_key);
  ++x.sequence;
  return x;
}

void stream_numbers::give_back(const std::string& exchange, const std::string& routing_key,
                               const amqp::stream_position& place) {
  auto keys = recent_.last.find(exchange);
  if (keys == recent_.last.end())
    return;
  auto last = keys->second.find(routing_key);
  if (last != keys->second.end() && last->second == place)
    --last->second.sequence;
}

amqp::stream_position& stream_numbers::find_or_add(const std::string& exchange,
                                                   const std::string& routing_key) {
  auto& keys = recent_.last[exchange];
  if (auto i = keys.find(routing_key); i != keys.end())
    return i->second;
  if (2 * recent_.count >= limit_) {
    former_ = std::exchange(recent_, {});
    // The new epoch is above the epochs of all streams that are forgotten now.
    ++epoch_;
    return find_or_add(exchange, routing_key);
  }
  ++recent_.count;
  auto& result = keys.try_emplace(routing_key, amqp::stream_position{epoch_, 0}).first->second;
  if (auto of = former_.last.find(exchange); of != former_.last.end())
    if (auto i = of->second.find(routing_key); i != of->second.end()) {
      result = i->second;
      of->second.erase(i);
      --former_.count;
    }
  return result;
}

} // namespace actors
