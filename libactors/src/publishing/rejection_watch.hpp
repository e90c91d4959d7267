#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

namespace actors {

/// Watches whether the broker takes any message of a link. RabbitMQ can reject all messages of a
/// channel for good, e.g. if the channel was first used while a quorum queue had no leader;
/// another channel then works. A `rejection_watch` is a plain value.
class rejection_watch {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// How long the broker may reject everything before another link is tried. The limit doubles
  /// each time that another link did not help, up to the last limit.
  static constexpr std::chrono::milliseconds first_limit{2'000};
  static constexpr std::chrono::milliseconds last_limit{60'000};

  /// Notes that a message was rejected. Returns how long everything was rejected, if too long.
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

  /// Notes that the broker has taken a message.
  void taken() noexcept {
    since_.reset();
    limit_ = first_limit;
  }

  /// Notes that the link has ended, which says nothing about the next one.
  void link_lost() noexcept {
    since_.reset();
  }

private:
  /// The start of the time in which the broker has rejected everything.
  std::optional<time_point> since_;
  std::chrono::milliseconds limit_ = first_limit;
};

} // namespace actors
