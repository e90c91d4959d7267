#include "actors/amqp/topology.hpp"

namespace actors::amqp {

std::string_view to_string(exchange_type x) noexcept {
  switch (x) {
  case exchange_type::topic:
    return "topic";
  case exchange_type::fanout:
    return "fanout";
  case exchange_type::direct:
    return "direct";
  case exchange_type::headers:
    return "headers";
  }
  return "unknown";
}

} // namespace actors::amqp
