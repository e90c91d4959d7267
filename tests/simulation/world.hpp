#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "simulation/faulty_transport.hpp"

namespace actors::simulation {

struct scenario {
  std::uint64_t seed = 1;
  /// How many random steps before everything is left to settle.
  std::size_t steps = 250;
  simulation::defect fault = simulation::defect::none;
  /// Whether the broker is reached by relays, over connections that are cut and stall.
  bool relayed = false;
};

struct outcome {
  /// Each broken invariant, with what broke it.
  std::vector<std::string> violations;
  /// What happened, one line a step.
  std::vector<std::string> trace;
  std::size_t confirmed = 0;
  std::size_t handled = 0;
};

/// Three processes on one in-process broker, two that publish and one with
/// strategies of each kind, on CAF's deterministic scheduler. Random steps and
/// faults by the seed, then all faults end. What must hold is checked in the quiet
/// moments, and at the end:
///
/// - nothing confirmed is lost to a strategy that acknowledges on success; with
///   retries, it was handled or is a dead letter
/// - a strategy handles nothing twice in one life
/// - order is kept by routing key and publisher, where it is promised
/// - nor is what waits for its queue after a restart of the broker without its exchanges,
///   however long its consumers are away, nor what a process that stops keeps for its next
///   start, over crashes
/// - what a process knows to be on the broker it does not publish again, in no life
/// - a publication is answered for itself: what no queue takes is never confirmed if it
///   is mandatory, and nobody else is told so; what is told not to be delivered is handled
///   by nobody
/// - no acknowledgement goes to the wrong channel
/// - handler table and broker agree, and nothing else consumes
/// - what waits, in an outbox or for a slow strategy, is bounded
/// - nothing is left in a queue, an outbox or a window
outcome simulate(const scenario& what);

} // namespace actors::simulation
