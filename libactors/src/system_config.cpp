#include "actors/system_config.hpp"

#include <algorithm>
#include <cstddef>
#include <thread>

namespace actors {

system_config::system_config() {
  set("scheduler.policy", caf::atom("sharing"));
  set("scheduler.max-threads", std::size_t{std::max(2u, std::thread::hardware_concurrency())});
  set("scheduler.max-throughput", std::size_t{300});
}

} // namespace actors
