#pragma once

#include <functional>
#include <string>

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>

namespace actors {

/// Starts an actor that watches the dispatcher and the supervisor of an event center. Neither ends
/// before it is stopped, whatever message it gets. If one ends all the same, the log says so at
/// `error`, and `on_failure` is called once with the reason, from the watch's thread. The watch
/// ends with the last of the two.
void watch_center(caf::actor_system& system, const caf::actor& dispatcher,
                  const caf::actor& supervisor, std::function<void(const std::string&)> on_failure);

} // namespace actors
