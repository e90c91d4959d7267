#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "actors/amqp/endpoint.hpp"
#include "actors/export.hpp"

namespace actors::amqp {

/// The purpose of each channel of a connection, where the broker's limits allow separate
/// channels:
///
///     1              topology
///     2              deliveries
///     3              publishing
///     4 to 6         more topology, when many requests wait
///     7 and beyond   deliveries of further groups, and of consumers without room on 2
///
/// With two channels, publications share the channel of deliveries; with one channel, everything
/// shares it. With few channels, half of those beyond the first three are for topology.
struct ACTORS_EXPORT channel_division {
  /// `count` is the number of channels that the broker allows; 0 means no limit.
  explicit channel_division(std::uint16_t count) noexcept;

  /// The number of channels for consumers.
  std::size_t for_consumers() const noexcept;

  std::uint16_t allowed;
  std::uint16_t topology = 1;
  std::uint16_t deliveries;
  std::uint16_t publishing;
  /// The first of the further channels for deliveries.
  std::uint16_t first_further;
};

/// The number of consumers that one connection may have; 0 means no limit.
ACTORS_EXPORT std::size_t consumers_of_connection(const broker_limits& x) noexcept;

/// Says why a connection may have no further consumer, and what to do.
ACTORS_EXPORT std::string no_room_text(const broker_limits& x);

} // namespace actors::amqp
