#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <caf/actor.hpp>
#include <caf/behavior.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>

#include "actors/event_center.hpp"
#include "ticker/subscriptions.hpp"

namespace ticker {

struct json_lines_state {
  explicit json_lines_state(caf::stateful_actor<json_lines_state>* self);

  void add(const actors::event& x);
  void flush();

  caf::stateful_actor<json_lines_state>* self;
  caf::actor screen;
  std::string buffer;
  /// How many events are still to come; 0 is without limit.
  std::uint64_t remaining = 0;
  bool flush_scheduled = false;

  static inline const char* name = "json_lines";
};

/// Sends each event as one line of JSON to `screen`, many lines at a time, and
/// ends after `count` events (0 is never) or a `stop_atom`.
caf::behavior json_lines(caf::stateful_actor<json_lines_state>* self, actors::event_center center,
                         std::vector<actors::subscription> wanted, std::uint64_t count,
                         caf::actor screen);

} // namespace ticker
