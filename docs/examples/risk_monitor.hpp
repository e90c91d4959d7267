#pragma once

#include <iostream>
#include <map>
#include <utility>

#include <actors/event_center.hpp>
#include <caf/stateful_actor.hpp>

struct risk_monitor_state {
  std::map<std::string, std::string> alarms; // what is wrong, and why; nothing, if all is well

  void raise(const std::string& what, const std::string& why) {
    if (std::exchange(alarms[what], why) != why)
      std::cout << "alarm: " + what + ", " + why << std::endl;
  }

  void clear(const std::string& what) {
    if (alarms.erase(what) > 0)
      std::cout << "over: " + what << std::endl;
  }
};

// Watches the trades of every platform, and the links. Answers a `get_atom` with its alarms.
inline caf::behavior risk_monitor(caf::stateful_actor<risk_monitor_state>* self,
                                  actors::event_center center) {
  using namespace actors;
  auto& state = self->state;
  center.subscribe(self, trades("#", "#").with_stream_events(std::chrono::seconds{10}));
  center.on_link(self);
  return {
      [&state](const trade& x) { state.clear(routing_key_of(x) + " is silent"); },
      [&state](const stream_stale& x) {
        state.raise(x.routing_key + " is silent", std::to_string(x.age.count()) + " ms");
      },
      // The next two are never over: whoever sums trades up has to begin anew.
      [&state](const stream_gap& x) {
        const auto missing = "trades " + std::to_string(x.from) + " to " + std::to_string(x.to);
        state.raise(x.routing_key + " is incomplete", missing + " did not come");
      },
      [&state](const stream_restarted& x) {
        state.raise(x.routing_key + " is incomplete", "its publisher was restarted");
      },
      [&state](const link_lost& x) { state.raise("no trades of " + x.routing_key, x.reason); },
      [&state](const link_restored& x) { state.clear("no trades of " + x.routing_key); },
      [&state](const link_status& x) {
        if (x.role == link_role::publishing && x.state == link_state::up)
          state.clear("no orders");
        else if (x.role == link_role::publishing)
          state.raise("no orders",
                      x.state == link_state::blocked ? "the broker is full" : "no link");
      },
      [&state](caf::get_atom) { return state.alarms; },
  };
}
