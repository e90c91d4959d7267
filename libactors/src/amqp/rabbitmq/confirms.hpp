#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "amqp/transport.hpp"

namespace actors::amqp {

/// The publications of one life of the channel `publishing` that the broker has not answered.
/// The class numbers publications from 1, as AMQP does.
class unconfirmed {
public:
  void add(std::uint64_t id) {
    entries_.push_back({id, false});
  }

  /// Appends the publications that the broker's answer covers to `result`; returns false if the
  /// answer is for a publication that was never made. With `multiple`, a `tag` of 0 stands for
  /// all publications.
  bool settle(std::uint64_t tag, bool multiple, bool accepted, std::vector<confirmation>& result);

  std::size_t size() const noexcept {
    return entries_.size();
  }

private:
  struct entry {
    std::uint64_t id = 0;
    bool settled = false;
  };

  std::deque<entry> entries_;
  /// The tag of the first entry.
  std::uint64_t first_tag_ = 1;
};

} // namespace actors::amqp
