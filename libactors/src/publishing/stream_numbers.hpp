#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>

#include "amqp/transport.hpp"

namespace actors {

/// The epoch of a publisher that starts now: microseconds since 1970 and twelve random bits,
/// so that it grows with each start and two that start at once are two.
std::uint64_t make_epoch(std::chrono::system_clock::time_point now, std::uint32_t random) noexcept;

/// Numbers a publisher's messages by stream, which is an exchange and a routing key. As many
/// streams as the limit are remembered, those that were used last; one that was forgotten
/// goes on under an epoch of its own, so that nothing new looks like a copy.
class stream_numbers {
public:
  /// 100 bytes each, and its names.
  static constexpr std::size_t usual_limit = 100'000;

  explicit stream_numbers(std::uint64_t epoch = 0, std::size_t limit = usual_limit)
      : epoch_(epoch), limit_(limit < 2 ? 2 : limit) {
    // nop
  }

  /// The place of the next message of a stream. Whoever does not use it counts it down
  /// again before the next call.
  amqp::stream_position& next(const std::string& exchange, const std::string& routing_key);

  /// A place is free again, if it is the last one of its stream: nobody has seen it.
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
  /// Those not used since `recent_` began.
  generation former_;
};

} // namespace actors
