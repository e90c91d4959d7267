#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "amqp/transport.hpp"

namespace actors {

/// The deliveries of one life of a channel that are not settled yet, and what
/// to tell the broker of those that are: as few acknowledgements as possible,
/// with `multiple` up to the first open delivery, singly behind it, so that a
/// slow strategy never holds back the credit of the others. A plain value.
class ack_window {
public:
  using verdict = amqp::settlement::verdict;

  /// A delivery arrives; tags ascend from 1.
  void open(std::uint64_t tag);

  /// A delivery has its verdict. False: not open.
  bool settle(std::uint64_t tag, verdict what);

  /// What to send for the verdicts since the last call: refusals, then
  /// acknowledgements, each in the order of tags.
  std::vector<amqp::settlement> flush();

  /// Whether nothing is open, and `flush` has told all.
  bool empty() const noexcept {
    return entries_.empty();
  }

  std::size_t open_count() const noexcept {
    return open_;
  }

private:
  struct entry {
    std::uint64_t tag = 0;
    /// None while it is open.
    std::optional<verdict> outcome;
  };

  /// What is open, and what has a verdict that `flush` has not told yet.
  std::deque<entry> entries_;
  std::size_t open_ = 0;
};

} // namespace actors
