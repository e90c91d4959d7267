#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "amqp/transport.hpp"

namespace actors {

struct subscription;

/// Whether messages that no handler here takes stay for others: this holds for queues that outlive
/// their consumers.
bool gives_back_unmatched(const subscription& spec) noexcept;

/// Decides the fate of messages that no handler here takes, in a queue that outlives its consumers.
/// Another process may want them, or a strategy that comes back, so the event center must not drop
/// them. They must neither block the messages behind them nor keep anybody busy:
///
///     given back (a few times, at once) -> set aside (many times) -> dead letters
///
/// Without dead letters, a message is set aside again and again. A plain value.
class unmatched_messages {
public:
  enum class fate : std::uint8_t {
    /// The message goes back to its place, for another consumer of the queue.
    release,
    /// The message goes to a companion queue, from which it comes back.
    set_aside,
    dead_letter,
  };

  struct verdict {
    fate outcome = fate::release;
    /// The round to record in the copy.
    std::uint32_t round = 0;
  };

  /// Judges a message that has arrived.
  verdict judge(const amqp::delivery& delivery, bool has_dead_letters);

private:
  /// How often each message came, by its fingerprint.
  std::unordered_map<std::size_t, std::uint32_t> seen_;
};

} // namespace actors
