#pragma once

#include "actors/export.hpp"
#include "amqp/transport.hpp"

namespace actors::amqp {

/// Makes a link to a broker that speaks AMQP 0-9-1 over TCP or TLS. rabbitmq-c encodes and
/// decodes the frames; the link has a thread of its own.
///
/// Without `confirms` the broker is not asked to confirm publications: each counts as confirmed
/// once its bytes have left for the socket.
ACTORS_EXPORT transport_ptr make_rabbitmq_transport(bool confirms = true);

} // namespace actors::amqp
