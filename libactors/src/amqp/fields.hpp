#pragma once

#include <string_view>
#include <variant>

#include "actors/amqp/topology.hpp"

/// The fields of a table: headers of a message, arguments of a queue.
namespace actors::amqp {

/// Null, if there is no such field.
const field_value* find_field(const field_table& xs, std::string_view name) noexcept;

/// The value of a field; null, if there is none of this type.
template <class T>
const T* find_field_as(const field_table& xs, std::string_view name) noexcept {
  const auto* found = find_field(xs, name);
  return found ? std::get_if<T>(found) : nullptr;
}

/// Sets a field; a new one comes last.
void set_field(field_table& xs, std::string_view name, field_value value);

} // namespace actors::amqp
