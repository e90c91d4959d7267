#include "ticker/json_lines.hpp"

#include <chrono>
#include <utility>

#include "actors/json.hpp"
#include "program/stop_atom.hpp"

namespace ticker {

namespace {

/// Lines go out when there are so many bytes, or after this time.
constexpr std::size_t buffer_size = 64 * 1024;

constexpr std::chrono::milliseconds flush_delay{10};

} // namespace

json_lines_state::json_lines_state(caf::stateful_actor<json_lines_state>* self) : self(self) {
  // nop
}

void json_lines_state::add(const actors::event& x) {
  buffer += R"({"exchange":)";
  actors::append_quoted(buffer, x.exchange);
  buffer += R"(,"routing_key":)";
  actors::append_quoted(buffer, x.routing_key);
  buffer += R"(,"name":)";
  actors::append_quoted(buffer, x.name);
  buffer += R"(,"data":)";
  buffer += x.data.text();
  buffer += "}\n";
  if (remaining > 0 && --remaining == 0) {
    flush();
    self->quit();
  } else if (buffer.size() >= buffer_size) {
    flush();
  } else if (!flush_scheduled) {
    flush_scheduled = true;
    self->delayed_send(self, flush_delay, caf::flush_atom_v);
  }
}

void json_lines_state::flush() {
  if (!buffer.empty())
    self->send(screen, std::exchange(buffer, {}));
}

caf::behavior json_lines(caf::stateful_actor<json_lines_state>* self, actors::event_center center,
                         std::vector<actors::subscription> wanted, std::uint64_t count,
                         caf::actor screen) {
  self->state.screen = std::move(screen);
  self->state.remaining = count;
  subscribe_all(self, center, std::move(wanted));
  return {
      [self](const actors::event& x) { self->state.add(x); },
      [self](caf::flush_atom) {
        self->state.flush_scheduled = false;
        self->state.flush();
      },
      [self](program::stop_atom) {
        self->state.flush();
        self->quit();
      },
  };
}

} // namespace ticker
