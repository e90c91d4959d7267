#pragma once

#include <string_view>

#include "actors/amqp/topology.hpp"

/// How often a message comes back to a quorum queue before the broker drops it: RabbitMQ 4 has a
/// limit where none is said.
namespace actors {

/// The same queue as the broker of this name and version takes it (`link_up::broker`, e.g.
/// "RabbitMQ 4.0.5"): `x-delivery-limit = -1` is for those which drop what comes back too
/// often unless they are told not to; former ones know no such value.
amqp::queue queue_on(amqp::queue x, std::string_view broker);

/// Why it matters that a broker has this queue with other settings than these; empty, if
/// there is nothing to say.
std::string_view warning_about(const amqp::queue& x) noexcept;

} // namespace actors
