#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace actors {

/// A set of numbers that mostly follow one another, kept as ranges: its memory grows with its
/// holes, not with its numbers. A plain value.
class sequence_set {
public:
  bool contains(std::uint64_t number) const noexcept;

  /// Adds a number; of no effect if the set contains it.
  void insert(std::uint64_t number);

  /// Removes a number; of no effect if the set does not contain it.
  void erase(std::uint64_t number);

  /// Removes the numbers of the lowest ranges; `count` is in ranges.
  void erase_lowest(std::size_t count);

  /// The number of ranges, which is the number of holes plus one.
  std::size_t ranges() const noexcept {
    return ranges_.size();
  }

  bool empty() const noexcept {
    return ranges_.empty();
  }

private:
  struct range {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
  };

  /// Returns the first range that ends at this number or above it.
  std::vector<range>::iterator find(std::uint64_t number) noexcept;

  /// The ranges ascend; at least one number is missing between two ranges.
  std::vector<range> ranges_;
};

} // namespace actors
