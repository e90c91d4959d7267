#pragma once

#include <chrono>
#include <cstdint>

#include "actors/policies.hpp"

namespace actors {

/// A back-off counts failures and computes the delay before the next attempt. A plain value:
/// seeded, no clock.
class backoff {
public:
  backoff(backoff_policy policy, std::uint64_t seed) noexcept;

  /// Returns the delay before the next attempt after a failed attempt or a lost link. The first
  /// delay is 0.
  std::chrono::milliseconds next() noexcept;

  /// Returns the delay before the next attempt when no TCP connection could be made.
  std::chrono::milliseconds next_after_unreachable() noexcept;

  /// Returns the delay after the broker refused the login.
  std::chrono::milliseconds next_after_refusal() noexcept;

  /// Forgets all failures.
  void reset() noexcept;

  /// Failures since the last success that count towards the delay.
  std::uint32_t failures() const noexcept {
    return failures_;
  }

private:
  std::chrono::milliseconds next(std::chrono::milliseconds limit) noexcept;
  double random() noexcept;

  backoff_policy policy_;
  std::uint64_t state_;
  std::uint32_t failures_ = 0;
};

} // namespace actors
