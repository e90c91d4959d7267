// Serves the in-process broker to other hosts: 0 if it listens.

#include <cstdlib>

#include <actors/relay.hpp>
#include <actors/version.hpp>
#include <caf/actor_system.hpp>

#if ACTORS_VERSION < 100
#error "the installed headers are older than the library"
#endif

int main() {
  const auto settings = actors::parse_config(R"({"RABBITMQ": {"url": "memory:"}})");
  if (!settings)
    return EXIT_FAILURE;
  actors::relay_system_config options;
  caf::actor_system system{options};
  actors::scoped_relay relay{system, {.center = *settings, .port = 0}};
  return relay.start() || relay.port() == 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
