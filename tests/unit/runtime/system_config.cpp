#define CAF_SUITE system_config

#include "actors/system_config.hpp"

#include <sstream>

#include <caf/actor_system.hpp>

#include "runtime/run_on_links.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;

namespace {

/// Whether actors run on links with these settings, given as a program is.
bool runs_on_links_with(std::vector<std::string> arguments, const std::string& file = {}) {
  system_config cfg;
  std::istringstream in{file};
  CAF_REQUIRE(!cfg.parse(std::move(arguments), in));
  caf::actor_system system{cfg};
  return runs_on_links(system);
}

} // namespace

CAF_TEST(actors run on links) {
  CAF_CHECK(runs_on_links_with({}));
}

CAF_TEST(run_on_links turns it off) {
  system_config cfg;
  cfg.run_on_links(false);
  caf::actor_system system{cfg};
  CAF_CHECK(!runs_on_links(system));
}

CAF_TEST(the command line turns it off) {
  CAF_CHECK(!runs_on_links_with({"--actors.workers-only"}));
}

CAF_TEST(a config file of CAF turns it off) {
  CAF_CHECK(!runs_on_links_with({}, "[actors]\nworkers-only=true\n"));
}
