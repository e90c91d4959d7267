#include "program/await_link.hpp"

#include <algorithm>
#include <array>

#include "actors/error.hpp"
#include "program/command_line.hpp"

namespace program {

namespace {

using clock = std::chrono::steady_clock;

/// A broker that is there needs less.
constexpr std::chrono::milliseconds quiet_time{500};

constexpr std::chrono::milliseconds poll_interval{10};

/// Whether the reason for a lost link, "code: text", is one that only another
/// command line heals.
bool is_final(std::string_view last_error) {
  using enum actors::ec;
  constexpr std::array codes{login_refused, access_refused, not_allowed, tls_failed};
  return std::ranges::any_of(codes,
                             [&](auto code) { return last_error.starts_with(to_string(code)); });
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

} // namespace

caf::error await_link(std::string_view app, caf::scoped_actor& self,
                      const actors::event_center& center, actors::link_role role, double limit,
                      const stop_signal& stop) {
  const auto start = clock::now();
  std::string said;
  for (;;) {
    const auto link = look(self, center, role);
    if (link.state == "up" || link.state == "blocked")
      return caf::none;
    if (is_final(link.last_error))
      return actors::make_error(actors::ec::access_refused,
                                "the broker " + link.endpoint + " refuses us: " + link.last_error);
    const auto waited = clock::now() - start;
    if (limit > 0 && waited > std::chrono::duration<double>(limit))
      return actors::make_error(actors::ec::connect_timeout,
                                "no link to the broker " + link.endpoint + " within "
                                    + std::to_string(static_cast<int>(limit))
                                    + " s: " + link.last_error);
    if (waited > quiet_time && said != link.last_error) {
      said = link.last_error;
      say(app, "waiting for the broker " + link.endpoint + " (" + said + ")");
    }
    if (stop.wait_for(poll_interval))
      return actors::make_error(actors::ec::shutting_down, "stopped");
  }
}

} // namespace program
