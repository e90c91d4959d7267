#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "amqp/memory/message.hpp"

namespace actors::amqp::memory {

/// The messages of a stream queue: each has an offset, counted from 0, and stays
/// whoever has read it.
class stream_log {
public:
  /// Beyond that many bytes the oldest messages are dropped, where RabbitMQ
  /// drops whole segments of its files.
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

  /// Needs an offset from `first` to before `next`.
  const message_ptr& at(std::uint64_t offset) const {
    return entries_[offset - first_].content;
  }

  void append(message_ptr x, time_point now);

  /// Where a consumer begins whose argument `x-stream-offset` is this, if any;
  /// nothing if that has no meaning.
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
