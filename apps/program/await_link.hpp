#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include <caf/error.hpp>
#include <caf/scoped_actor.hpp>

#include "actors/event_center.hpp"
#include "program/stop_signal.hpp"

namespace program {

/// Waits until a link of the event center is up, with a line on standard error
/// when that takes longer than a moment. Errors: the broker refuses us for a
/// reason that waiting does not heal; `ec::connect_timeout` after `limit`
/// seconds (0 is never); `ec::shutting_down` after the stop signal.
caf::error await_link(std::string_view app, caf::scoped_actor& self,
                      const actors::event_center& center, actors::link_role role, double limit,
                      const stop_signal& stop);

} // namespace program
