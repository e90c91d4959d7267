#include "actors/system_config.hpp"

#include <algorithm>
#include <cstddef>
#include <set>
#include <thread>

#include <caf/actor_system.hpp>
#include <caf/policy/work_stealing.hpp>
#include <caf/scheduler/coordinator.hpp>
#include <caf/scheduler/test_coordinator.hpp>

#include "runtime/run_on_links.hpp"
#include "runtime/work_sharing.hpp"

namespace actors {

namespace {

/// Makes the scheduler that the settings name.
caf::actor_system::module* make_scheduler(caf::actor_system& system) {
  using namespace caf::scheduler;
  auto policy = caf::get_or(system.config(), "scheduler.policy", caf::atom("sharing"));
  if (policy == caf::atom("testing"))
    return new test_coordinator{system};
  if (policy == caf::atom("stealing"))
    return coordinator<caf::policy::work_stealing>::make(system, {});
  return coordinator<work_sharing>::make(system, {});
}

} // namespace

system_config::system_config() {
  set("scheduler.policy", caf::atom("sharing"));
  set("scheduler.max-threads", std::size_t{std::max(2u, std::thread::hardware_concurrency())});
  set("scheduler.max-throughput", work_sharing::turn);
  opt_group{custom_options_, "actors"}.add<bool>(
      "workers-only", "have the scheduler's workers run all actors, and no link's thread");
  module_factories.emplace_back(make_scheduler);
}

system_config& system_config::run_on_links(bool on) {
  set(workers_only_key, !on);
  return *this;
}

} // namespace actors
