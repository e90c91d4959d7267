#pragma once

#include <cstdint>
#include <memory>

#include <caf/actor_system.hpp>

#include "actors/event_center.hpp"
#include "amqp/transport.hpp"

namespace actors {

/// The channel generation of all deliveries by feeds, which cannot collide: the generations of
/// channels count from 1.
constexpr std::uint32_t feed_generation = 0xffff'ffff;

/// Wraps a host's link to the broker. Feeds come from the relay's own event center, which reads
/// each feed once for all hosts; everything else passes through. All calls must come from one
/// thread.
amqp::transport_ptr make_feeding_transport(caf::actor_system& system, const event_center& center,
                                           amqp::transport_ptr link);

} // namespace actors
