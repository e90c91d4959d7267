#pragma once

#include <string_view>
#include <variant>

#include "actors/amqp/topology.hpp"

/// The fields of a table: headers of a message, arguments of a queue.
namespace actors::amqp {

/// Returns null if the table has no such field.
const field_value* find_field(const field_table& fields, std::string_view name) noexcept;

/// Returns the value of a field; null if the table has no such field of type `T`.
template <class T>
const T* find_field_as(const field_table& fields, std::string_view name) noexcept {
  const auto* found = find_field(fields, name);
  return found ? std::get_if<T>(found) : nullptr;
}

/// Sets a field; a new field is appended.
void set_field(field_table& fields, std::string_view name, field_value value);

} // namespace actors::amqp
