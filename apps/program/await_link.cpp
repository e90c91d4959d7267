#include "program/await_link.hpp"

#include <cmath>

#include "actors/error.hpp"
#include "program/command_line.hpp"

namespace program {

namespace {

using clock = std::chrono::steady_clock;

/// A broker that is there needs less.
constexpr std::chrono::milliseconds quiet_time{500};

constexpr std::chrono::milliseconds poll_interval{10};

/// Whether the broker turned us away, or cannot be asked at all, which only
/// another command line heals. A fleet that runs waits for the operator, an app
/// that starts says so at once.
bool is_final(actors::ec code) {
  using actors::ec;
  return code == ec::login_refused || code == ec::access_refused || code == ec::not_allowed
         || (code != ec::none && !actors::is_transient(code));
}

actors::link_status look(caf::scoped_actor& self, const actors::event_center& center,
                         actors::link_role role) {
  actors::link_status result;
  center.status(self).receive(
      [&](const actors::center_status& status) {
        for (const auto& link : status.supervisor.links)
          if (link.role == role)
            result = link;
      },
      [&](const caf::error& err) { result.last_error = actors::text_of(err); });
  return result;
}

std::string describe(const actors::link_status& x) {
  return x.last_error.empty() ? "no answer from " + x.endpoint + " yet" : x.last_error;
}

} // namespace

caf::error await_link(std::string_view app, caf::scoped_actor& self,
                      const actors::event_center& center, actors::link_role role, double limit,
                      const stop_signal& stop) {
  const auto start = clock::now();
  std::string said;
  bool silent = true;
  for (;;) {
    const auto link = look(self, center, role);
    if (link.state == actors::link_state::up || link.state == actors::link_state::blocked)
      return caf::none;
    if (is_final(link.last_code))
      return actors::make_error(link.last_code, link.last_error);
    const auto waited = clock::now() - start;
    if (limit > 0 && waited > std::chrono::duration<double>(limit))
      return actors::make_error(actors::ec::connect_timeout,
                                "no link to the broker within " + std::to_string(std::lround(limit))
                                    + " s: " + describe(link));
    if (waited > quiet_time && (silent || said != link.last_error)) {
      silent = false;
      said = link.last_error;
      say(app, "waiting for the broker: " + describe(link));
    }
    if (stop.wait_for(poll_interval))
      return actors::make_error(actors::ec::shutting_down, "stopped");
  }
}

} // namespace program
