#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "amqp/transport.hpp"

namespace actors {

/// The unsettled deliveries of one channel generation, and the settlements to send: as few
/// acknowledgements as possible, with `multiple` up to the first open delivery, singly behind it,
/// so that a slow strategy never holds back the credit of the others. A plain value.
class ack_window {
public:
  using verdict = amqp::settlement::verdict;

  /// Adds a delivery that has arrived; tags ascend from 1.
  void open(std::uint64_t tag);

  /// Gives a delivery its verdict. False: the delivery is not open.
  bool settle(std::uint64_t tag, verdict outcome);

  /// Returns the settlements for the verdicts since the last call: refusals, then acknowledgements,
  /// each in the order of tags.
  std::vector<amqp::settlement> flush();

  /// Whether no delivery is open, and `flush` has returned all settlements.
  bool empty() const noexcept {
    return entries_.empty();
  }

  std::size_t open_count() const noexcept {
    return open_;
  }

private:
  struct entry {
    std::uint64_t tag = 0;
    /// The verdict; empty while the delivery is open.
    std::optional<verdict> outcome;
  };

  /// Open deliveries, and settled ones that `flush` has not returned yet.
  std::deque<entry> entries_;
  std::size_t open_ = 0;
};

} // namespace actors
