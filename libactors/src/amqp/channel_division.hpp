#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "actors/amqp/endpoint.hpp"
#include "actors/export.hpp"

namespace actors::amqp {

/// What each channel of a connection is for, as far as the broker's limits let them be apart:
///
///     1              topology
///     2              deliveries
///     3              publishing
///     4 to 6         topology of a crowd
///     7 and beyond   deliveries of further groups, and of what has no room on 2
///
/// With two channels publications go with deliveries, with one all goes there. With few, half
/// of what is left after the first three is for topology.
struct ACTORS_EXPORT channel_division {
  /// `count` is how many the broker allows; 0 is any number.
  explicit channel_division(std::uint16_t count) noexcept;

  /// How many are for consumers.
  std::size_t for_consumers() const noexcept;

  std::uint16_t allowed;
  std::uint16_t topology = 1;
  std::uint16_t deliveries;
  std::uint16_t publishing;
  /// Of the further ones for deliveries.
  std::uint16_t first_further;
};

/// How many consumers one connection may have; 0 is any number.
ACTORS_EXPORT std::size_t consumers_of_connection(const broker_limits& x) noexcept;

/// Why a connection may not have one more, and what to do.
ACTORS_EXPORT std::string no_room_text(const broker_limits& x);

} // namespace actors::amqp
