#include "delivery/sequence_set.hpp"

#include <algorithm>
#include <iterator>

namespace actors {

bool sequence_set::contains(std::uint64_t number) const noexcept {
  auto i = std::lower_bound(
      ranges_.begin(), ranges_.end(), number,
      [](const range& known, std::uint64_t wanted) { return known.last < wanted; });
  return i != ranges_.end() && i->first <= number;
}

// Most numbers are above the highest one, which the first branch handles quickly.
void sequence_set::insert(std::uint64_t number) {
  if (ranges_.empty() || number > ranges_.back().last) {
    if (!ranges_.empty() && ranges_.back().last + 1 == number)
      ranges_.back().last = number;
    else
      ranges_.push_back({number, number});
    return;
  }
  auto next = find(number);
  if (next->first <= number)
    return;
  const auto follows = next != ranges_.begin() && std::prev(next)->last + 1 == number;
  const auto precedes = next->first == number + 1;
  if (follows && precedes) {
    std::prev(next)->last = next->last;
    ranges_.erase(next);
  } else if (follows) {
    std::prev(next)->last = number;
  } else if (precedes) {
    next->first = number;
  } else {
    ranges_.insert(next, {number, number});
  }
}

void sequence_set::erase(std::uint64_t number) {
  auto i = find(number);
  if (i == ranges_.end() || i->first > number)
    return;
  if (i->first == i->last) {
    ranges_.erase(i);
  } else if (i->first == number) {
    ++i->first;
  } else if (i->last == number) {
    --i->last;
  } else {
    const range before{i->first, number - 1};
    i->first = number + 1;
    ranges_.insert(i, before);
  }
}

void sequence_set::erase_lowest(std::size_t count) {
  const auto size = std::min(count, ranges_.size());
  ranges_.erase(ranges_.begin(), ranges_.begin() + static_cast<std::ptrdiff_t>(size));
}

std::vector<sequence_set::range>::iterator sequence_set::find(std::uint64_t number) noexcept {
  return std::lower_bound(
      ranges_.begin(), ranges_.end(), number,
      [](const range& known, std::uint64_t wanted) { return known.last < wanted; });
}

} // namespace actors
