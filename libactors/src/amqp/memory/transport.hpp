#pragma once

#include <memory>

#include "actors/amqp/memory_broker.hpp"
#include "actors/export.hpp"
#include "amqp/transport.hpp"

namespace actors::amqp {

/// Makes a link to an in-process broker.
ACTORS_EXPORT transport_ptr make_memory_transport(std::shared_ptr<memory_broker> broker);

} // namespace actors::amqp
