#pragma once

#include <cstdint>

namespace actors {

/// The id of a subscription within its process; 0 is no subscription.
using subscription_id = std::uint64_t;

} // namespace actors
