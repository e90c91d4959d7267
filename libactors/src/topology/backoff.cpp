#include "topology/backoff.hpp"

#include <algorithm>

namespace actors {

backoff::backoff(backoff_policy policy, std::uint64_t seed) noexcept
    : policy_(policy), state_(seed) {
  // nop
}

std::chrono::milliseconds backoff::next() noexcept {
  return next(policy_.limit);
}

std::chrono::milliseconds backoff::next_after_unreachable() noexcept {
  return next(std::min(policy_.limit, policy_.unreachable));
}

std::chrono::milliseconds backoff::next(std::chrono::milliseconds longest) noexcept {
  if (failures_++ == 0)
    return std::chrono::milliseconds{0};
  auto delay = static_cast<double>(policy_.first.count());
  const auto limit = static_cast<double>(longest.count());
  auto counted = 2u;
  for (; counted < failures_ && delay < limit; ++counted)
    delay *= policy_.factor;
  // Failures that need no longer delay must not lengthen the delay of another reason.
  if (delay >= limit)
    failures_ = counted;
  delay = std::min(delay, limit) * (1.0 - policy_.jitter * random());
  return std::chrono::milliseconds{static_cast<std::int64_t>(delay)};
}

std::chrono::milliseconds backoff::next_after_refusal() noexcept {
  ++failures_;
  const auto delay = static_cast<double>(policy_.refused.count());
  return std::chrono::milliseconds{
      static_cast<std::int64_t>(delay * (1.0 - policy_.jitter * random()))};
}

void backoff::reset() noexcept {
  failures_ = 0;
}

double backoff::random() noexcept {
  // SplitMix64: small state, any seed will do.
  auto bits = (state_ += 0x9e3779b97f4a7c15);
  bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9;
  bits = (bits ^ (bits >> 27)) * 0x94d049bb133111eb;
  return static_cast<double>((bits ^ (bits >> 31)) >> 11) * 0x1p-53;
}

} // namespace actors
