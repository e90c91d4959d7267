#pragma once

#include "amqp/transport.hpp"

namespace actors::amqp {

/// Makes a link to a relay (`actors/relay.hpp`), which forwards requests and messages to its
/// broker. The link has a thread of its own.
transport_ptr make_relay_transport();

} // namespace actors::amqp
