#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "actors/ec.hpp"
#include "topology/backoff.hpp"

namespace actors {

/// Which of the endpoints a link tries, and when. Each has a back-off of its own: that one
/// fails says nothing about the next. A plain value.
class endpoint_rotation {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// Begins with the first. `seed` is that of the jitter.
  endpoint_rotation(const backoff_policy& policy, std::size_t count, std::uint64_t seed);

  /// The index of the one that is tried, or will be.
  std::size_t current() const noexcept {
    return current_;
  }

  /// It failed, or its link was lost: goes on to the one that may be tried first, the next in
  /// turn if several may be at once. Gives back how long to wait for it.
  std::chrono::milliseconds next(ec reason, time_point now);

  /// Its link ended for a reason that the next one heeds, so that it need not wait: counts as
  /// a failure all the same, for what comes behind it.
  void again() noexcept;

  /// Its link lived long enough to count as a success.
  void settle() noexcept;

private:
  struct attempts {
    backoff retry;
    time_point not_before;
  };

  static std::chrono::milliseconds delay(backoff& retry, ec reason);

  std::vector<attempts> endpoints_;
  std::size_t current_ = 0;
};

} // namespace actors
