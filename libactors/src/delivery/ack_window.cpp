#include "delivery/ack_window.hpp"

#include <algorithm>

namespace actors {

void ack_window::open(std::uint64_t tag) {
  entries_.push_back({tag, std::nullopt});
  ++open_;
}

bool ack_window::settle(std::uint64_t tag, verdict outcome) {
  auto i =
      std::lower_bound(entries_.begin(), entries_.end(), tag,
                       [](const entry& known, std::uint64_t wanted) { return known.tag < wanted; });
  if (i == entries_.end() || i->tag != tag || i->outcome)
    return false;
  i->outcome = outcome;
  --open_;
  return true;
}

std::vector<amqp::settlement> ack_window::flush() {
  std::vector<amqp::settlement> result;
  if (entries_.size() == open_)
    return result;
  // Requeued and rejected deliveries go first: a later acknowledgement with `multiple` must not
  // cover them.
  for (auto& delivery : entries_)
    if (delivery.outcome && *delivery.outcome != verdict::ack)
      result.push_back({delivery.tag, *delivery.outcome});
  // One acknowledgement with `multiple` covers all up to the first open delivery.
  auto i = entries_.begin();
  amqp::settlement prefix;
  for (auto acks = 0; i != entries_.end() && i->outcome; ++i)
    if (i->outcome == verdict::ack)
      prefix = {i->tag, verdict::ack, ++acks > 1};
  if (prefix.tag != 0)
    result.push_back(prefix);
  // Deliveries behind it are acknowledged one by one.
  for (; i != entries_.end(); ++i)
    if (i->outcome == verdict::ack)
      result.push_back({i->tag, verdict::ack});
  std::erase_if(entries_, [](const entry& x) { return x.outcome.has_value(); });
  return result;
}

} // namespace actors
