#include "actors/messages.hpp"

namespace actors {

std::string_view to_string(link_role x) noexcept {
  return x == link_role::consuming ? "consuming" : "publishing";
}

} // namespace actors
