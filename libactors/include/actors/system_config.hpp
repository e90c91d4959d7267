#pragma once

#include <caf/actor_system_config.hpp>

#include "actors/export.hpp"

namespace actors {

/// Recommended CAF settings for an event center: the scheduler "sharing" with as many workers as
/// cores (measured latency on few cores is lower than with "stealing"), and fair turns between
/// actors. The library replaces CAF's queue behind "sharing" by one that wakes fewer threads, and
/// that adds threads when handlers block all workers. Command line and config file still override
/// these settings.
///
///     actors::system_config cfg;
///     caf::actor_system system{cfg};
class ACTORS_EXPORT system_config : public caf::actor_system_config {
public:
  system_config();

  /// Sets whether actors may run in the threads of their links and publishers, which is faster
  /// than waking a worker for each event. If `on` is false, only workers run actors, so that an
  /// operator can compare. The option `actors.workers-only`, in a config file or on the command
  /// line, has the same effect as false.
  system_config& run_on_links(bool on);
};

} // namespace actors
