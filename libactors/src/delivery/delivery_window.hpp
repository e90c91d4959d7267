#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>
#include <utility>

#include "delivery/delivery_queue.hpp"

namespace actors {

/// The window bounds the messages of one strategy where the broker sets no bound: a few messages
/// are in the strategy's mailbox, the others wait here, so that a slow strategy costs no more
/// memory than its limits allow. A plain value:
///
///     push -> waiting -- next --> in hand -- handled --> gone
///               |
///               +--> dropped by the policy
///
/// A strategy is asked for an answer only every few messages: the answer to such a mark counts for
/// all messages before the mark as well.
template <class T>
class delivery_window {
public:
  using time_point = std::chrono::steady_clock::time_point;

  explicit delivery_window(delivery_limits limits = {}) noexcept
      : in_hand_limit_(limits.policy == delivery_policy::latest_per_key ? 1 : mailbox_limit),
        waiting_(limits) {
    // nop
  }

  delivery_window(delivery_window&&) noexcept = default;
  delivery_window& operator=(delivery_window&&) noexcept = default;

  /// A message to hand over now.
  struct item {
    T value;
    /// If set, the strategy is asked for an answer; `handled` takes this mark when the answer
    /// comes.
    std::uint64_t mark = 0;
  };

  /// Adds a message. Returns the message that the policy drops instead: an older one, or the new
  /// one itself. The caller then calls `next` until it returns nothing.
  std::optional<T> push(std::string_view key, T message) {
    return waiting_.push(key, std::move(message));
  }

  /// Returns the first waiting message, if the strategy's mailbox has room.
  std::optional<item> next(time_point now) {
    if (in_hand_ >= in_hand_limit_)
      return std::nullopt;
    auto first = waiting_.pop();
    if (!first)
      return std::nullopt;
    ++in_hand_;
    ++unmarked_;
    // The last message that fits is always a mark, or no answer would make room.
    if (unmarked_ < mark_distance() && in_hand_ < in_hand_limit_)
      return item{std::move(*first)};
    marks_.push_back({++last_mark_, std::exchange(unmarked_, 0), now});
    return item{std::move(*first), last_mark_};
  }

  /// The strategy has answered a mark.
  void handled(std::uint64_t mark) {
    while (!marks_.empty() && marks_.front().id <= mark)
      remove_mark();
  }

  /// Gives up the marks that were handed over before the given time. Returns their number.
  std::size_t give_up(time_point before) {
    std::size_t result = 0;
    for (; !marks_.empty() && marks_.front().since < before; ++result)
      remove_mark();
    return result;
  }

  std::size_t waiting() const noexcept {
    return waiting_.size();
  }

  /// The number of messages in the strategy's mailbox, at most.
  std::size_t in_hand() const noexcept {
    return in_hand_;
  }

  const delivery_drops& drops() const noexcept {
    return waiting_.drops();
  }

private:
  /// A strategy never idles while its next answer travels: this is several of the batches that a
  /// link brings at once.
  static constexpr std::size_t mailbox_limit = 1024;

  void remove_mark() {
    in_hand_ -= marks_.front().messages;
    marks_.pop_front();
  }

  std::size_t mark_distance() const noexcept {
    return std::max<std::size_t>(in_hand_limit_ / 4, 1);
  }

  std::size_t in_hand_limit_;
  std::size_t in_hand_ = 0;
  /// The messages in hand behind the last mark.
  std::size_t unmarked_ = 0;

  /// A mark without an answer, and the number of messages that it stands for.
  struct open_mark {
    std::uint64_t id = 0;
    std::size_t messages = 0;
    time_point since;
  };

  std::deque<open_mark> marks_;
  std::uint64_t last_mark_ = 0;
  delivery_queue<T> waiting_;
};

} // namespace actors
