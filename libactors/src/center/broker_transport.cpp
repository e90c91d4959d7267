#include "center/broker_transport.hpp"

#include "actors/amqp/memory_broker.hpp"
#include "amqp/memory/transport.hpp"
#include "amqp/rabbitmq/transport.hpp"

namespace actors {

amqp::transport_ptr make_broker_transport(const amqp::endpoint& where, bool confirms) {
  if (where.scheme == amqp::scheme::memory)
    return amqp::make_memory_transport(amqp::memory_broker::named(where.host));
  return amqp::make_rabbitmq_transport(confirms);
}

} // namespace actors
