#pragma once

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>

namespace actors {

/// The opposite of `system_config::run_on_links`, because CAF's command line can only switch
/// options on.
constexpr char workers_only_key[] = "actors.workers-only";

/// Whether actors of a system may run in the threads of links and publishers.
inline bool runs_on_links(const caf::actor_system& system) {
  return !caf::get_or(system.config(), workers_only_key, false);
}

} // namespace actors
