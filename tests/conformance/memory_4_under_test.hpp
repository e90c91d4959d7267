#pragma once

#include "actors/amqp/memory_broker.hpp"
#include "amqp/memory/transport.hpp"
#include "conformance/client.hpp"

namespace actors::amqp::conformance {

/// Each test has a broker of its own, which does as RabbitMQ 4.3 does.
template <class F>
void with_broker(F f) {
  auto memory = std::make_shared<memory_broker>(memory_semantics::rabbitmq_4_3());
  endpoint where;
  where.scheme = scheme::memory;
  broker_under_test broker{[memory] { return make_memory_transport(memory); }, where,
                           [memory](auto time) { memory->advance(time); }};
  f(broker);
}

} // namespace actors::amqp::conformance
