#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>

#include "amqp/transport.hpp"

namespace actors {

/// Returns the epoch of a publisher that starts now: microseconds since 1970 and twelve random
/// bits. Epochs grow with each start, and publishers that start at the same time differ.
std::uint64_t make_epoch(std::chrono::system_clock::time_point now, std::uint32_t random) noexcept;

/// Numbers a publisher's messages by stream, which is an exchange and a routing key. Up to `limit`
/// streams are remembered, the most recently used ones. A forgotten stream continues in a new
/// epoch, so that new messages do not look like copies.
class stream_numbers {
public:
  /// Each stream takes 100 bytes and its names.
  static constexpr std::size_t usual_limit = 100'000;

  explicit stream_numbers(std::uint64_t epoch = 0, std::size_t limit = usual_limit)
      : epoch_(epoch), limit_(limit < 2 ? 2 : limit) {
    // nop
  }

  /// Returns the place of a stream's next message. A caller that does not use the place must
  /// decrement it before the next call.
  amqp::stream_position& next(const std::string& exchange, const std::string& routing_key);

  /// Frees a place that nobody has seen, if it is the last one of its stream.
  void give_back(const std::string& exchange, const std::string& routing_key,
                 const amqp::stream_position& place);

  /// How many streams are remembered.
  std::size_t size() const noexcept {
    return recent_.count + former_.count;
  }

private:
  struct generation {
    std::unordered_map<std::string, std::unordered_map<std::string, amqp::stream_position>> last;
    std::size_t count = 0;
  };

  amqp::stream_position& find_or_add(const std::string& exchange, const std::string& routing_key);

  std::uint64_t epoch_;
  std::size_t limit_;
  generation recent_;
  /// The streams that were not used since `recent_` began.
  generation former_;
};

} // namespace actors
