#pragma once

#include "actors/amqp/endpoint.hpp"
#include "actors/export.hpp"
#include "amqp/transport.hpp"

namespace actors {

/// Makes the transport for an endpoint that is no relay: RabbitMQ, or a broker in this process.
/// `confirms`: the broker is to confirm publications.
ACTORS_EXPORT amqp::transport_ptr make_broker_transport(const amqp::endpoint& where, bool confirms);

} // namespace actors
