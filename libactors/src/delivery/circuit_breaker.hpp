#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace actors {

/// The breaker keeps messages from a strategy that has not answered in time: the strategy's mailbox
/// would fill with messages that the broker delivers again meanwhile. Messages are numbered as they
/// are handed over. A plain value:
///
///     closed --- an answer is late ---> open --- one may try, at once ---> half open
///       ^                                 ^                                    |
///       |                                 +-- after a wait that doubles -------+
///       +------ an answer to what was handed over last, or later --------------+
///
/// A mailbox is answered in its order: an answer to the last message says that all messages before
/// it have been handled, or are answered in an order of the strategy's own.
class circuit_breaker {
public:
  using time_point = std::chrono::steady_clock::time_point;
  using duration = std::chrono::steady_clock::duration;

  bool closed() const noexcept {
    return answered_ >= late_;
  }

  /// Whether a message may be handed over.
  bool lets_pass(time_point now) const noexcept {
    return closed() || now >= next_try_;
  }

  /// A message is handed over; its answer is due within `limit`. Returns the message's number.
  std::uint64_t passed(time_point now, duration limit) noexcept {
    if (!closed()) {
      wait_ = std::max(limit, 2 * wait_);
      next_try_ = now + wait_;
    }
    return ++passed_;
  }

  /// An answer is late.
  void late() noexcept {
    late_ = passed_;
  }

  /// The message of this number was answered, late or not.
  void answered(std::uint64_t number) noexcept {
    answered_ = std::max(answered_, number);
    if (closed()) {
      wait_ = {};
      next_try_ = {};
    }
  }

private:
  std::uint64_t passed_ = 0;
  /// The number of the last message that was handed over when an answer was late.
  std::uint64_t late_ = 0;
  std::uint64_t answered_ = 0;
  duration wait_{};
  time_point next_try_{};
};

} // namespace actors
