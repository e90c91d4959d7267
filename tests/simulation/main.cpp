// Runs seeds of the simulation. A failing one is printed with the command that
// plays it again and the shortest trace that still fails.

#include <cstdio>
#include <iostream>

#include <CLI/CLI.hpp>

#include "actors/logging.hpp"
#include "simulation/world.hpp"

using namespace actors::simulation;

namespace {

/// The fewest steps after which this seed fails, found by halving.
outcome shortest_failure(scenario what) {
  std::size_t good = 0;
  auto bad = what.steps;
  while (bad - good > 1) {
    what.steps = good + (bad - good) / 2;
    (simulate(what).violations.empty() ? good : bad) = what.steps;
  }
  what.steps = bad;
  return simulate(what);
}

void report(const scenario& what, const std::string& defect) {
  const auto failure = shortest_failure(what);
  for (auto& line : failure.trace)
    std::cout << "  " << line << '\n';
  for (auto& line : failure.violations)
    std::cout << "VIOLATION " << line << '\n';
  std::cout << "again: scripts/simulate --seeds 1 --seed " << what.seed
            << (what.relayed ? " --relayed" : "") << (defect.empty() ? "" : " --defect " + defect)
            << '\n';
}

} // namespace

int main(int argc, char** argv) {
  std::size_t seeds = 1'000;
  scenario what;
  std::string defect;
  CLI::App app{"Seeded faults for an event center on the in-process broker."};
  app.add_option("--seeds", seeds, "How many seeds to run")->capture_default_str();
  app.add_option("--seed", what.seed, "The first seed")->capture_default_str();
  app.add_option("--steps", what.steps, "Steps of a seed")->capture_default_str();
  app.add_flag("--relayed", what.relayed, "Reach the broker by relays, with faults of their own");
  app.add_option("--defect", defect, "A defect to put in, to see it caught");
  CLI11_PARSE(app, argc, argv);
  what.fault = to_defect(defect);
  if (!defect.empty() && what.fault == defect::none) {
    std::cerr << "simulate: there is no defect '" << defect << "'\n";
    return 2;
  }
  actors::log_config quiet;
  quiet.level = actors::log_level::off;
  actors::open_log(quiet);
  std::size_t violations = 0;
  std::size_t confirmed = 0;
  std::size_t handled = 0;
  for (std::size_t i = 0; i < seeds; ++i, ++what.seed) {
    const auto result = simulate(what);
    confirmed += result.confirmed;
    handled += result.handled;
    if (!result.violations.empty() && violations == 0)
      report(what, defect);
    violations += result.violations.size();
  }
  std::cout << confirmed << " publications confirmed, " << handled << " events handled\n"
            << seeds << " seeds, " << violations << " violations" << std::endl;
  return violations == 0 ? 0 : 1;
}
