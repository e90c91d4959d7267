#include "actors/amqp/topology.hpp"

#include "amqp/field_reader.hpp"

namespace actors::amqp {

std::optional<field_table> as_table(const opaque_value& x) {
  if (x.kind != 'F')
    return std::nullopt;
  field_reader in{x.bytes};
  auto result = in.table();
  return in.done() ? std::optional{std::move(result)} : std::nullopt;
}

std::optional<std::vector<field_value>> as_list(const opaque_value& x) {
  if (x.kind != 'A')
    return std::nullopt;
  field_reader in{x.bytes};
  field_reader inner{in.long_string()};
  auto result = inner.values();
  return in.done() && inner.ok() ? std::optional{std::move(result)} : std::nullopt;
}

std::string_view to_string(exchange_type type) noexcept {
  switch (type) {
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
