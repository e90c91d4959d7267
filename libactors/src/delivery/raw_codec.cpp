#include "delivery/raw_codec.hpp"

namespace actors {

event_codec raw_codec() noexcept {
  auto result = generic_codec();
  result.raw = true;
  return result;
}

} // namespace actors
