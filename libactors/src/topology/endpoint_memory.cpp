#include "topology/endpoint_memory.hpp"

#include <algorithm>

namespace actors {

namespace {

/// The smaller of two limits of which 0 is unknown.
template <class Number>
Number tighten(Number x, Number y) noexcept {
  return x == 0 || y == 0 ? std::max(x, y) : std::min(x, y);
}

} // namespace

amqp::broker_limits tighten(const amqp::broker_limits& x, const amqp::broker_limits& y) noexcept {
  return {tighten(x.channels, y.channels),
          tighten(x.consumers_per_channel, y.consumers_per_channel),
          tighten(x.message_size, y.message_size), x.transient_queues && y.transient_queues};
}

amqp::broker_limits endpoint_memory::assumed() const noexcept {
  amqp::broker_limits result;
  for (auto& [broker, x] : brokers_)
    result = tighten(result, x.limits);
  result.message_size = 0;
  result.transient_queues = true;
  return result;
}

bool endpoint_memory::met(const std::string& broker) {
  const auto is_other = !brokers_.empty() && !brokers_.contains(broker);
  brokers_[broker].last = ++connections_;
  std::erase_if(brokers_, [this](auto& x) { return connections_ - x.second.last >= patience; });
  return is_other;
}

amqp::broker_limits endpoint_memory::limits_of(const std::string& broker) const {
  auto i = brokers_.find(broker);
  return i == brokers_.end() ? amqp::broker_limits{} : i->second.limits;
}

void endpoint_memory::learned(const std::string& broker, const amqp::broker_limits& heeded,
                              const amqp::broker_limits& found) {
  auto own = found;
  if (found.channels == heeded.channels)
    own.channels = 0;
  if (found.consumers_per_channel == heeded.consumers_per_channel)
    own.consumers_per_channel = 0;
  if (found.transient_queues == heeded.transient_queues)
    own.transient_queues = true;
  auto& x = brokers_[broker];
  x.last = std::max(x.last, connections_);
  x.limits = tighten(x.limits, own);
}

} // namespace actors
