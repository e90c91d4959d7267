#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "actors/ec.hpp"
#include "topology/backoff.hpp"

namespace actors {

/// Decides which endpoint a link tries, and when. Each endpoint has its own back-off: a failure of
/// one says nothing about the next. A plain value.
class endpoint_rotation {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// Begins with the first endpoint. `seed` is the seed of the jitter.
  endpoint_rotation(const backoff_policy& policy, std::size_t count, std::uint64_t seed);

  /// The index of the endpoint that is tried now or next.
  std::size_t current() const noexcept {
    return current_;
  }

  /// The endpoint failed, or its link was lost. Goes on to the endpoint that may be tried first,
  /// the next in turn among equals. Returns the delay before the attempt.
  std::chrono::milliseconds next(ec reason, time_point now);

  /// The link ended for a reason that the next connection avoids, so that it need not wait. Still
  /// counts as a failure, for the delays after that.
  void again() noexcept;

  /// The link lived long enough to count as a success.
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
