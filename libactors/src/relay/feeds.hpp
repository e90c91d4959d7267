#pragma once

#include <cstdint>
#include <memory>

#include <caf/actor_system.hpp>

#include "actors/event_center.hpp"
#include "amqp/transport.hpp"

namespace actors {

/// The life of all that a link's feeds deliver, as long as the link: channels count theirs
/// from 1.
constexpr std::uint32_t feed_generation = 0xffff'ffff;

/// A host's link to the broker whose feeds come from the relay's own event center, which
/// reads each once for all hosts. Everything else passes through. Its calls come from one
/// thread.
amqp::transport_ptr make_feeding_transport(caf::actor_system& system, const event_center& center,
                                           amqp::transport_ptr link);

} // namespace actors
