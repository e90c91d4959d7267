#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

namespace actors {

/// Whether the broker takes anything that comes by a link. RabbitMQ can reject all that comes by
/// one channel for good: such as was first used while a quorum queue had lost its leader. By
/// another one it takes them. A plain value.
class rejection_watch {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// How long it may reject all, until another link is tried: twice as long each time that this
  /// was of no help, up to the last.
  static constexpr std::chrono::milliseconds first_limit{2'000};
  static constexpr std::chrono::milliseconds last_limit{60'000};

  /// A message was rejected. Gives back for how long all were, if that is too long.
  std::optional<std::chrono::milliseconds> rejected(time_point now) {
    if (!since_)
      since_ = now;
    if (now - *since_ < limit_)
      return std::nullopt;
    since_.reset();
    const auto result = limit_;
    limit_ = std::min(2 * limit_, last_limit);
    return result;
  }

  /// The broker has taken a message.
  void taken() noexcept {
    since_.reset();
    limit_ = first_limit;
  }

  /// The link has ended, which says nothing about the next one.
  void link_lost() noexcept {
    since_.reset();
  }

private:
  /// Since when the broker has rejected all.
  std::optional<time_point> since_;
  std::chrono::milliseconds limit_ = first_limit;
};

} // namespace actors
