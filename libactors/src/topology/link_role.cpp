#include "actors/status.hpp"

namespace actors {

std::string_view to_string(link_role role) noexcept {
  switch (role) {
  case link_role::consuming:
    return "consuming";
  case link_role::publishing:
    return "publishing";
  case link_role::quarantine:
    return "quarantine";
  }
  return "unknown";
}

std::string_view to_string(link_state state) noexcept {
  switch (state) {
  case link_state::down:
    return "down";
  case link_state::connecting:
    return "connecting";
  case link_state::up:
    return "up";
  case link_state::blocked:
    return "blocked";
  }
  return "unknown";
}

} // namespace actors
