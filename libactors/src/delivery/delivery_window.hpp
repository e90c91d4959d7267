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

/// What one strategy gets of a subscription that the broker does not bound: a
/// few messages are in its mailbox, the others wait here, so that a slow one
/// costs no more memory than its limits say. A plain value:
///
///     push -> waiting -- next --> in hand -- handled --> gone
///               |
///               +--> dropped by the policy
///
/// To know what has been handled, a strategy is asked to answer every so many
/// messages only: an answer to such a mark means all those before it as well.
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
    /// Set: ask for an answer, and call `handled` with this when it comes.
    std::uint64_t mark = 0;
  };

  /// Takes a message. Gives back the one that is dropped for it, itself
  /// perhaps. Followed by `next` until that has none.
  std::optional<T> push(std::string_view key, T x) {
    return waiting_.push(key, std::move(x));
  }

  /// The first that waits, if the strategy has room for it in its mailbox.
  std::optional<item> next(time_point now) {
    if (in_hand_ >= in_hand_limit_)
      return std::nullopt;
    auto x = waiting_.pop();
    if (!x)
      return std::nullopt;
    ++in_hand_;
    ++unmarked_;
    // The last one that has room is always a mark, or no answer would make room.
    if (unmarked_ < mark_distance() && in_hand_ < in_hand_limit_)
      return item{std::move(*x)};
    marks_.push_back({++last_mark_, std::exchange(unmarked_, 0), now});
    return item{std::move(*x), last_mark_};
  }

  /// A mark has been answered.
  void handled(std::uint64_t mark) {
    while (!marks_.empty() && marks_.front().id <= mark)
      remove_mark();
  }

  /// Gives up waiting for the marks that were handed over before the given time.
  /// Gives back how many.
  std::size_t give_up(time_point before) {
    std::size_t result = 0;
    for (; !marks_.empty() && marks_.front().since < before; ++result)
      remove_mark();
    return result;
  }

  std::size_t waiting() const noexcept {
    return waiting_.size();
  }

  /// In the strategy's mailbox, at most.
  std::size_t in_hand() const noexcept {
    return in_hand_;
  }

  const delivery_drops& drops() const noexcept {
    return waiting_.drops();
  }

private:
  /// Enough for a strategy never to idle while its next answer travels: several of the
  /// batches that a link brings at once.
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
  /// In hand and behind the last mark.
  std::size_t unmarked_ = 0;

  /// A mark without an answer, and how many messages it stands for.
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
