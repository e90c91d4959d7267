#include "amqp/channel_division.hpp"

#include <algorithm>

namespace actors::amqp {

namespace {

/// The number of channels for topology. RabbitMQ works on the channels of a connection in
/// parallel, so several channels finish many declarations sooner.
constexpr int max_topology_channels = 4;

constexpr std::uint16_t enough_to_be_apart = 3;

} // namespace

// Topology gets only half of the channels beyond the first three, so that groups of consumers
// can have channels of their own.
channel_division::channel_division(std::uint16_t count) noexcept
    : allowed(count == 0 ? std::uint16_t{0xFFFF} : count),
      deliveries(std::min<std::uint16_t>(2, allowed)),
      publishing(std::min(enough_to_be_apart, allowed)) {
  const auto left = allowed - std::min(allowed, enough_to_be_apart);
  const auto crowded = std::min(max_topology_channels - 1, left / 2);
  first_further = static_cast<std::uint16_t>(enough_to_be_apart + 1 + crowded);
}

std::size_t channel_division::for_consumers() const noexcept {
  return allowed < first_further ? 1 : std::size_t{2} + allowed - first_further;
}

std::size_t consumers_of_connection(const broker_limits& x) noexcept {
  return x.consumers_per_channel * channel_division{x.channels}.for_consumers();
}

std::string no_room_text(const broker_limits& x) {
  const channel_division channels{x.channels};
  return "the broker allows " + std::to_string(channels.allowed) + " channels, of which "
         + std::to_string(channels.for_consumers())
         + " can have consumers, and consumers on each: " + std::to_string(x.consumers_per_channel)
         + "; there is no room for one more than " + std::to_string(consumers_of_connection(x))
         + ": raise consumer_max_per_channel or channel_max there, and start this program again";
}

} // namespace actors::amqp
