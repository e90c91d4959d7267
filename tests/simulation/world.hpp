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
};

struct outcome {
  /// Each broken invariant, with what broke it.
  std::vector<std::string> violations;
  /// What happened, one line a step.
  std::vector<std::string> trace;
  std::size_t confirmed = 0;
  std::size_t handled = 0;
};

/// Two event centers on one in-process broker, one publishing and one with three
/// strategies, on CAF's deterministic scheduler. Random steps and faults by the
/// seed, then all faults end; what must hold then is checked:
///
/// - nothing confirmed is lost to a strategy that acknowledges on success
/// - a strategy handles nothing twice in one life
/// - per routing key, order is kept (prefetch count 1)
/// - no acknowledgement goes to the wrong channel
/// - handler table and broker agree, and nothing else consumes
/// - nothing is left in a queue, an outbox or a window
outcome simulate(const scenario& what);

} // namespace actors::simulation
