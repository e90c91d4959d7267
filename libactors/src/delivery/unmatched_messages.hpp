#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "amqp/transport.hpp"

namespace actors {

struct subscription;

/// Whether what no handler here is for stays for others: of a queue that is kept.
bool gives_back_unmatched(const subscription& x) noexcept;

/// What becomes of messages of a queue that is kept which no handler here is for: another
/// process may want them, or a strategy that comes back. They are not ours to drop, must
/// not stand in the way of what follows them, and must not keep anybody busy:
///
///     given back (a few times, at once) -> set aside (many times) -> dead letters
///
/// without dead letters set aside again and again. A plain value.
class unmatched_messages {
public:
  enum class fate : std::uint8_t {
    /// Back to its place, for another consumer of the queue.
    release,
    /// To a queue beside, from which it comes back.
    set_aside,
    dead_letter,
  };

  struct verdict {
    fate outcome = fate::release;
    /// For the copy.
    std::uint32_t round = 0;
  };

  /// A message arrives.
  verdict judge(const amqp::delivery& x, bool has_dead_letters);

private:
  /// How often each came, by what tells it apart.
  std::unordered_map<std::size_t, std::uint32_t> seen_;
};

} // namespace actors
