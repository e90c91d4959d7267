#pragma once

#include <chrono>
#include <cstdint>

#include "actors/policies.hpp"

namespace actors {

/// Counts failures and says how long to wait. A plain value: seeded, no clock.
class backoff {
public:
  backoff(backoff_policy policy, std::uint64_t seed) noexcept;

  /// The delay before the next attempt after one that failed or a link that was
  /// lost. The first is 0.
  std::chrono::milliseconds next() noexcept;

  /// The delay before the next attempt after no TCP connection could be made.
  std::chrono::milliseconds next_after_unreachable() noexcept;

  /// The delay after a login that was refused.
  std::chrono::milliseconds next_after_refusal() noexcept;

  /// Forgets all failures.
  void reset() noexcept;

  /// Since the last success, as far as they lengthen the delay.
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
