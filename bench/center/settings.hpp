#pragma once

#include <string>

#include <actors/event_center.hpp>

#include "center/commands.hpp"

namespace with_actors {

/// The settings of an event center for a benchmark: the defaults, and a log of
/// warnings only.
actors::config settings_for(const bench::work& x, const strategy_options& how);

/// A subscription to the events of a kind, as `x` wants them acknowledged.
actors::subscription subscription_for(const bench::work& x, const strategy_options& how,
                                      const std::string& routing_key);

} // namespace with_actors
