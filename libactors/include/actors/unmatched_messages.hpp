#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "actors/amqp/transport.hpp"

namespace actors {

/// What becomes of messages of a queue that is kept which no handler here is for: another
/// process may want them, or a strategy that comes back. They are not ours to drop, must
/// not stand in the way of what follows them, and must not keep anybody busy:
///
///     given back (a few times) -> to the end of the queue (many times) -> dead letters
///
/// without dead letters round and round, slowly. A plain value.
class unmatched_messages {
public:
  using time_point = std::chrono::steady_clock::time_point;

  enum class fate : std::uint8_t {
    /// Back to its place, for another consumer of the queue.
    release,
    /// Behind all that waits.
    end_of_queue,
    dead_letter,
  };

  struct verdict {
    fate what = fate::release;
    /// Before that.
    std::chrono::milliseconds pause{0};
    /// For the copy.
    std::uint32_t round = 0;
  };

  /// A message arrives.
  verdict judge(const amqp::delivery& x, bool has_dead_letters, time_point now);

private:
  std::chrono::milliseconds next_slot(time_point now, std::chrono::milliseconds distance);

  /// How often each came, by what tells it apart.
  std::unordered_map<std::size_t, std::uint32_t> seen_;
  /// When the next one may go.
  time_point next_;
};

} // namespace actors
