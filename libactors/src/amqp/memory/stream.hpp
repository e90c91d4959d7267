#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "amqp/memory/message.hpp"

namespace actors::amqp::memory {

/// The messages of a stream queue: each has an offset, counted from 0, and stays after consumers
/// have read it.
class stream_log {
public:
  /// The oldest messages are dropped beyond `max_bytes`; RabbitMQ drops whole segments of its
  /// files instead.
  explicit stream_log(std::optional<std::size_t> max_bytes) : max_bytes_(max_bytes) {
    // nop
  }

  std::uint64_t first() const noexcept {
    return first_;
  }

  /// The offset of the next message to come.
  std::uint64_t next() const noexcept {
    return first_ + entries_.size();
  }

  std::size_t size() const noexcept {
    return entries_.size();
  }

  /// Needs an offset from `first()` to before `next()`.
  const message_ptr& at(std::uint64_t offset) const {
    return entries_[offset - first_].content;
  }

  void append(message_ptr content, time_point now);

  /// Returns the first offset for a consumer with the argument `x-stream-offset`, null for a
  /// consumer without it; returns nothing if the argument is invalid.
  std::optional<std::uint64_t> start(const field_value* offset, time_point now) const;

private:
  struct entry {
    message_ptr content;
    time_point since;
  };

  std::optional<std::uint64_t> start(const std::string& text, time_point now) const;

  std::optional<std::size_t> max_bytes_;
  std::deque<entry> entries_;
  std::uint64_t first_ = 0;
  std::size_t bytes_ = 0;
};

} // namespace actors::amqp::memory
