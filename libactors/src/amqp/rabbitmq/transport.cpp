#include "amqp/rabbitmq/transport.hpp"

#include "amqp/link/link.hpp"
#include "amqp/rabbitmq/session.hpp"

namespace actors::amqp {

transport_ptr make_rabbitmq_transport(bool confirms) {
  return make_link([confirms](const endpoint& where, std::shared_ptr<link_listener> events,
                              link_protocol::time_point now) {
    return std::make_unique<session>(where, confirms, std::move(events), now);
  });
}

} // namespace actors::amqp
