#include "delivery/sequence_set.hpp"

#include <algorithm>
#include <iterator>

namespace actors {

bool sequence_set::contains(std::uint64_t x) const noexcept {
  auto i = std::lower_bound(ranges_.begin(), ranges_.end(), x,
                            [](const range& y, std::uint64_t z) { return y.last < z; });
  return i != ranges_.end() && i->first <= x;
}

// Most numbers follow the highest one.
void sequence_set::insert(std::uint64_t x) {
  if (ranges_.empty() || x > ranges_.back().last) {
    if (!ranges_.empty() && ranges_.back().last + 1 == x)
      ranges_.back().last = x;
    else
      ranges_.push_back({x, x});
    return;
  }
  auto next = find(x);
  if (next->first <= x)
    return;
  const auto follows = next != ranges_.begin() && std::prev(next)->last + 1 == x;
  const auto precedes = next->first == x + 1;
  if (follows && precedes) {
    std::prev(next)->last = next->last;
    ranges_.erase(next);
  } else if (follows) {
    std::prev(next)->last = x;
  } else if (precedes) {
    next->first = x;
  } else {
    ranges_.insert(next, {x, x});
  }
}

void sequence_set::erase(std::uint64_t x) {
  auto i = find(x);
  if (i == ranges_.end() || i->first > x)
    return;
  if (i->first == i->last) {
    ranges_.erase(i);
  } else if (i->first == x) {
    ++i->first;
  } else if (i->last == x) {
    --i->last;
  } else {
    const range before{i->first, x - 1};
    i->first = x + 1;
    ranges_.insert(i, before);
  }
}

void sequence_set::erase_lowest(std::size_t count) {
  const auto size = std::min(count, ranges_.size());
  ranges_.erase(ranges_.begin(), ranges_.begin() + static_cast<std::ptrdiff_t>(size));
}

std::vector<sequence_set::range>::iterator sequence_set::find(std::uint64_t x) noexcept {
  return std::lower_bound(ranges_.begin(), ranges_.end(), x,
                          [](const range& y, std::uint64_t z) { return y.last < z; });
}

} // namespace actors
