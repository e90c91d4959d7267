#pragma once

#include <caf/actor_system_config.hpp>

#include "actors/export.hpp"

namespace actors {

/// CAF's settings as an event center runs best with them: the scheduler
/// "sharing" with as many workers as cores (lower latency than "stealing" on
/// few cores, measured), and fair turns between actors. "sharing" is a queue of
/// our own, which wakes fewer threads than CAF's of that name, and helps out with
/// further threads when handlers block all workers. Command line and config file
/// still override them.
///
///     actors::system_config cfg;
///     caf::actor_system system{cfg};
class ACTORS_EXPORT system_config : public caf::actor_system_config {
public:
  system_config();

  /// Whether actors may run in the threads of their links and publishers, which is faster than
  /// to wake a worker for each event. Off, workers run all of them: for an operator who wants to
  /// know whether that makes a difference. The same as `actors.workers-only` in a config file
  /// or on the command line.
  system_config& run_on_links(bool on);
};

} // namespace actors
