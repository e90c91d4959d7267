// Sends a trade to itself through the in-process broker: 0 if it comes back.

#include <chrono>
#include <cstdlib>

#include <actors/event_center.hpp>
#include <actors/system_config.hpp>
#include <caf/actor_system.hpp>
#include <caf/scoped_actor.hpp>

int main() {
  const auto settings = actors::parse_config(R"({"RABBITMQ": {"url": "memory:"}})");
  if (!settings)
    return EXIT_FAILURE;
  actors::system_config options;
  caf::actor_system system{options};
  actors::scoped_event_center center{system, *settings};
  caf::scoped_actor self{system};

  actors::trade sent;
  sent.platform = "binance";
  sent.symbol = "ETH/USDT";
  bool ready = false;
  center.subscribe(self, actors::trades("binance", "ETH/USDT"))
      .receive([&](const actors::subscribed&) { ready = true; }, [](const caf::error&) {});
  if (!ready)
    return EXIT_FAILURE;
  center.publish(sent);
  bool came_back = false;
  self->receive([&](const actors::trade& x) { came_back = x == sent; },
                caf::after(std::chrono::seconds{10}) >> [] {});
  return came_back ? EXIT_SUCCESS : EXIT_FAILURE;
}
