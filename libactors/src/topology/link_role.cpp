#include "actors/status.hpp"

namespace actors {

std::string_view to_string(link_role x) noexcept {
  switch (x) {
  case link_role::consuming:
    return "consuming";
  case link_role::publishing:
    return "publishing";
  case link_role::quarantine:
    return "quarantine";
  }
  return "unknown";
}

} // namespace actors
