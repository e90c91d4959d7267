#include "amqp/fields.hpp"

#include <algorithm>
#include <utility>

namespace actors::amqp {

const field_value* find_field(const field_table& fields, std::string_view name) noexcept {
  const auto found =
      std::find_if(fields.begin(), fields.end(), [name](auto& x) { return x.first == name; });
  return found == fields.end() ? nullptr : &found->second;
}

void set_field(field_table& fields, std::string_view name, field_value value) {
  const auto found =
      std::find_if(fields.begin(), fields.end(), [name](auto& x) { return x.first == name; });
  if (found == fields.end())
    fields.emplace_back(name, std::move(value));
  else
    found->second = std::move(value);
}

} // namespace actors::amqp
