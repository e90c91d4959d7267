#pragma once

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>

#include "actors/config.hpp"
#include "actors/export.hpp"
#include "center/supervisor.hpp"

namespace actors {

/// The actors that an event center is made of, besides its connections.
struct center_actors {
  caf::actor dispatcher;
  caf::actor supervisor;
};

/// Spawns the actors of an event center and starts their connections.
ACTORS_EXPORT center_actors spawn_center(caf::actor_system& system, const config& settings,
                                         supervisor_settings links);

} // namespace actors
