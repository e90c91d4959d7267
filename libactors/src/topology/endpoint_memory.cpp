#include "topology/endpoint_memory.hpp"

#include <algorithm>

namespace actors {

namespace {

/// Returns the smaller of two limits; 0 is unknown.
template <class Number>
Number tighten(Number one, Number other) noexcept {
  return one == 0 || other == 0 ? std::max(one, other) : std::min(one, other);
}

} // namespace

amqp::broker_limits tighten(const amqp::broker_limits& one,
                            const amqp::broker_limits& other) noexcept {
  return {tighten(one.channels, other.channels),
          tighten(one.consumers_per_channel, other.consumers_per_channel),
          tighten(one.message_size, other.message_size),
          one.transient_queues && other.transient_queues};
}

amqp::broker_limits endpoint_memory::assumed() const noexcept {
  amqp::broker_limits result;
  for (auto& [broker, known] : brokers_)
    result = tighten(result, known.limits);
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
  auto& known = brokers_[broker];
  known.last = std::max(known.last, connections_);
  known.limits = tighten(known.limits, own);
}

} // namespace actors
