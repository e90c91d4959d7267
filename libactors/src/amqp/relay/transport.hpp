#pragma once

#include "amqp/transport.hpp"

namespace actors::amqp {

/// A link to a relay (`actors/relay.hpp`), which passes on what it is asked for to its
/// broker. It has a thread of its own, as a link to RabbitMQ has.
transport_ptr make_relay_transport();

} // namespace actors::amqp
