#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace actors {

/// A set of numbers that mostly follow one another, kept as ranges: it costs memory by
/// its holes and not by its numbers. A plain value.
class sequence_set {
public:
  bool contains(std::uint64_t x) const noexcept;

  /// Of no effect for a number that is in it.
  void insert(std::uint64_t x);

  /// Of no effect for a number that is not in it.
  void erase(std::uint64_t x);

  /// Takes out the numbers of the lowest ranges.
  void erase_lowest(std::size_t count);

  /// How many ranges there are, which is one more than there are holes.
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

  /// The first range that ends with this number or behind it.
  std::vector<range>::iterator find(std::uint64_t x) noexcept;

  /// Ascending; between two of them at least one number is missing.
  std::vector<range> ranges_;
};

} // namespace actors
