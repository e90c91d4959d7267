#pragma once

#include <cstdint>

namespace actors {

/// Names a subscription within its event center.
using subscription_id = std::uint64_t;

} // namespace actors
