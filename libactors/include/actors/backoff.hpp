#pragma once

#include <chrono>
#include <cstdint>

namespace actors {

/// When to try again: at once after the first loss, then after delays that
/// double up to a limit, each spread by jitter so that a fleet does not return
/// as one.
struct backoff_policy {
  std::chrono::milliseconds first{250};
  std::chrono::milliseconds limit{10'000};
  double factor = 2.0;
  /// A delay d becomes a random one in [d * (1 - jitter), d].
  double jitter = 0.5;
  /// The limit where no TCP connection can be made: trying that costs the broker
  /// nothing, and it may be back at any moment.
  std::chrono::milliseconds unreachable{500};
  /// The delay after a refused login, which needs somebody to act.
  std::chrono::milliseconds refused{15'000};
  /// A link that lived this long counts as a success: start anew.
  std::chrono::milliseconds settled{5'000};

  bool operator==(const backoff_policy&) const = default;
};

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
