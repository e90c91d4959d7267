#pragma once

#include "actors/amqp/endpoint.hpp"
#include "actors/export.hpp"
#include "amqp/transport.hpp"

namespace actors {

/// A link to the broker behind an endpoint, which is no relay: RabbitMQ, or one in this process.
/// `confirms`: the broker is to confirm publications.
ACTORS_EXPORT amqp::transport_ptr make_broker_transport(const amqp::endpoint& where, bool confirms);

} // namespace actors
