#pragma once

#include <vector>

#include <caf/actor.hpp>
#include <caf/behavior.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>

#include "actors/event_center.hpp"
#include "ticker/price_table.hpp"
#include "ticker/subscriptions.hpp"

namespace ticker {

struct table_view_state {
  price_table table;
  caf::actor screen;
  /// A table that is redrawn in place, or lines.
  bool on_terminal = false;
  std::size_t drawn_lines = 0;
  int ticks = 0;

  void refresh(caf::event_based_actor* self);
  std::string redraw();

  static inline const char* name = "table_view";
};

/// Sends the table of all symbols to `screen`, four times a second on a
/// terminal, else a line each second for each symbol that changed. Ends after
/// a `stop_atom`.
caf::behavior table_view(caf::stateful_actor<table_view_state>* self, actors::event_center center,
                         std::vector<actors::subscription> wanted, bool on_terminal,
                         caf::actor screen);

} // namespace ticker
