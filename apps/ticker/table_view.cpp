#include "ticker/table_view.hpp"

#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "program/standard_output.hpp"
#include "program/stop_atom.hpp"

namespace ticker {

namespace {

constexpr std::chrono::milliseconds tick_interval{250};

constexpr int ticks_per_second = 4;

} // namespace

void table_view_state::refresh(caf::event_based_actor* self) {
  const auto second_ended = ++ticks % ticks_per_second == 0;
  if (second_ended)
    table.count_rates(price_table::clock::now());
  std::string text;
  if (on_terminal)
    text = redraw();
  else if (second_ended)
    for (const auto& line : table.changes())
      text += line + '\n';
  if (!text.empty())
    self->send(screen, std::move(text));
}

std::string table_view_state::redraw() {
  // Back up over the former table, then line by line over it.
  std::string result = drawn_lines > 0 ? fmt::format("\x1b[{}A", drawn_lines) : "";
  // One row for the title, one for "more", one for the cursor.
  const auto rows = program::terminal_rows();
  const auto lines =
      table.lines(price_table::clock::now(), rows > 4 ? rows - 3 : 1, program::terminal_columns());
  for (const auto& line : lines)
    result += line + "\x1b[K\n";
  drawn_lines = lines.size();
  return result;
}

caf::behavior table_view(caf::stateful_actor<table_view_state>* self, actors::event_center center,
                         std::vector<actors::subscription> wanted, bool on_terminal,
                         caf::actor screen) {
  self->state.screen = std::move(screen);
  self->state.on_terminal = on_terminal;
  subscribe_all(self, center, std::move(wanted));
  self->delayed_send(self, tick_interval, caf::tick_atom_v);
  const auto update = [self](const auto& x) {
    self->state.table.update(x, price_table::clock::now());
  };
  return {
      [update](const actors::orderbook& x) { update(x); },
      [update](const actors::trade& x) { update(x); },
      [update](const actors::kline& x) { update(x); },
      [update](const actors::event& x) { update(x); },
      [self](caf::tick_atom) {
        self->state.refresh(self);
        self->delayed_send(self, tick_interval, caf::tick_atom_v);
      },
      [self](program::stop_atom) { self->quit(); },
  };
}

} // namespace ticker
