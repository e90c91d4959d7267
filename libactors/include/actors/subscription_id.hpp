#pragma once

#include <cstdint>

namespace actors {

/// Names a subscription within its process; 0 names none.
using subscription_id = std::uint64_t;

} // namespace actors
