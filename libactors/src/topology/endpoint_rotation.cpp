#include "topology/endpoint_rotation.hpp"

#include <algorithm>

namespace actors {

endpoint_rotation::endpoint_rotation(const backoff_policy& policy, std::size_t count,
                                     std::uint64_t seed) {
  for (std::size_t i = 0; i < count; ++i)
    endpoints_.push_back({backoff{policy, seed + i}, {}});
}

std::chrono::milliseconds endpoint_rotation::next(ec reason, time_point now) {
  auto& failed = endpoints_[current_];
  failed.not_before = now + delay(failed.retry, reason);
  const auto count = endpoints_.size();
  auto due = [&](std::size_t i) { return std::max(endpoints_[i].not_before, now); };
  auto best = (current_ + 1) % count;
  for (std::size_t i = 2; i <= count; ++i)
    if (auto other = (current_ + i) % count; due(other) < due(best))
      best = other;
  current_ = best;
  return std::chrono::ceil<std::chrono::milliseconds>(due(best) - now);
}

std::chrono::milliseconds endpoint_rotation::delay(backoff& retry, ec reason) {
  switch (reason) {
  // These failures last until somebody acts.
  case ec::login_refused:
  case ec::tls_failed:
    return retry.next_after_refusal();
  case ec::connect_failed:
    return retry.next_after_unreachable();
  default:
    return retry.next();
  }
}

void endpoint_rotation::again() noexcept {
  endpoints_[current_].retry.next();
}

void endpoint_rotation::settle() noexcept {
  endpoints_[current_].retry.reset();
}

} // namespace actors
