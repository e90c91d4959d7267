#include "amqp/fields.hpp"

#include <algorithm>
#include <utility>

namespace actors::amqp {

const field_value* find_field(const field_table& xs, std::string_view name) noexcept {
  const auto found =
      std::find_if(xs.begin(), xs.end(), [name](auto& x) { return x.first == name; });
  return found == xs.end() ? nullptr : &found->second;
}

void set_field(field_table& xs, std::string_view name, field_value value) {
  const auto found =
      std::find_if(xs.begin(), xs.end(), [name](auto& x) { return x.first == name; });
  if (found == xs.end())
    xs.emplace_back(name, std::move(value));
  else
    found->second = std::move(value);
}

} // namespace actors::amqp
