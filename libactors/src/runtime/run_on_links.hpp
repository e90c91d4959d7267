#pragma once

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>

namespace actors {

/// `system_config::run_on_links`.
constexpr char run_on_links_key[] = "actors.run-on-links";

/// Whether actors of a system may run in the threads of links and publishers.
inline bool runs_on_links(const caf::actor_system& system) {
  return caf::get_or(system.config(), run_on_links_key, true);
}

} // namespace actors
