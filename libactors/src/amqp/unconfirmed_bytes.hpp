#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace actors::amqp {

/// How much a publisher has on its way: the bytes of publications without an answer. Most
/// ids ascend; what was kept aside comes late, and what is sent once more comes again.
class unconfirmed_bytes {
public:
  void add(std::uint64_t id, std::size_t size);

  /// Whether it was confirmed, refused or rejected is the same here.
  void answered(std::uint64_t id);

  void clear() noexcept;

  std::size_t total() const noexcept {
    return total_;
  }

private:
  struct entry {
    std::uint64_t id = 0;
    /// 0 once it is answered.
    std::size_t size = 0;
  };

  /// The first entry without an answer that has this id or a higher one.
  std::vector<entry>::iterator find(std::uint64_t id);

  /// Ascending.
  std::vector<entry> entries_;
  /// Those before it are answered.
  std::size_t first_ = 0;
  std::size_t total_ = 0;
};

} // namespace actors::amqp
