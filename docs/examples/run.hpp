#pragma once

#include <iostream>

#include <actors/event_center.hpp>
#include <actors/stop_signal.hpp>
#include <actors/system_config.hpp>

// Every main here reads the config file that its command line names, starts an event center, and
// runs its body with it. `stop` is Ctrl-C, or systemd's SIGTERM.
template <class Body>
int run(int argc, char** argv, Body body) {
  actors::stop_signal stop;
  auto settings = actors::read_config(argc > 1 ? argv[1] : "config/aioquant.json");
  if (!settings) {
    std::cerr << actors::text_of(settings.error()) << std::endl;
    return 2;
  }
  actors::system_config cfg;
  caf::actor_system system{cfg};
  actors::scoped_event_center center{system, *settings};
  body(system, center.handle(), stop);
  return 0;
}
