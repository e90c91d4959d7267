#pragma once

#include <chrono>
#include <string>

namespace actors::soak {

/// Publishes a hundred times more order books than a strategy can take, for this long, and
/// watches the resident memory of this process each second. Whether it grows by less than
/// 20 MiB once it has warmed up. Prints what it sees.
bool memory_stays_flat(const std::string& broker, std::chrono::seconds duration);

} // namespace actors::soak
