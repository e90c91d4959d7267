#pragma once

#include <functional>
#include <string>

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>

namespace actors {

/// Starts an actor that watches those of an event center. None of them ends before it is
/// stopped, whatever it is sent; if one does after all, the log says so at `error` and
/// `on_failure` is called with the reason, once, from the watch's thread. It ends with them.
void watch_center(caf::actor_system& system, const caf::actor& dispatcher,
                  const caf::actor& supervisor, std::function<void(const std::string&)> on_failure);

} // namespace actors
