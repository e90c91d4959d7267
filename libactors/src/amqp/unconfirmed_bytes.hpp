#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace actors::amqp {

/// Counts the bytes of publications without an answer. Most ids ascend; a publication that was
/// kept aside comes late, and one that is sent again comes twice.
class unconfirmed_bytes {
public:
  void add(std::uint64_t id, std::size_t size);

  /// Removes a publication; the kind of answer (confirmed, refused or rejected) does not matter.
  void answered(std::uint64_t id);

  void clear() noexcept;

  std::size_t total() const noexcept {
    return total_;
  }

private:
  struct entry {
    std::uint64_t id = 0;
    /// 0 once the publication is answered.
    std::size_t size = 0;
  };

  /// Returns the first unanswered entry that has this id or a higher one.
  std::vector<entry>::iterator find(std::uint64_t id);

  /// In ascending order of ids.
  std::vector<entry> entries_;
  /// The index of the first unanswered entry.
  std::size_t first_ = 0;
  std::size_t total_ = 0;
};

} // namespace actors::amqp
