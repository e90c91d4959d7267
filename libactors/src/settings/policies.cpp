#include "actors/policies.hpp"

namespace actors {

std::string_view to_string(delivery_policy x) noexcept {
  switch (x) {
  case delivery_policy::drop_oldest:
    return "drop_oldest";
  case delivery_policy::drop_newest:
    return "drop_newest";
  case delivery_policy::latest_per_key:
    return "latest_per_key";
  }
  return "?";
}

std::string_view to_string(overflow_policy x) noexcept {
  switch (x) {
  case overflow_policy::reject:
    return "reject";
  case overflow_policy::drop_oldest:
    return "drop_oldest";
  case overflow_policy::drop_newest:
    return "drop_newest";
  case overflow_policy::block:
    return "block";
  case overflow_policy::latest_per_key:
    return "latest_per_key";
  }
  return "?";
}

} // namespace actors
