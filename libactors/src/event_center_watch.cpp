#include "event_center_watch.hpp"

#include <utility>

#include <caf/behavior.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/exit_reason.hpp>

#include "actors/error.hpp"
#include "actors/logging.hpp"

namespace actors {

namespace {

struct watched {
  caf::actor_addr dispatcher;
  int alive = 2;
  std::function<void(const std::string&)> on_failure;
};

void on_end(watched& x, const caf::down_msg& down) {
  --x.alive;
  if (down.reason == caf::exit_reason::user_shutdown)
    return;
  const auto text = std::string{"event center: its "}
                    + (down.source == x.dispatcher ? "dispatcher" : "supervisor")
                    + " has ended before it was stopped: " + text_of(down.reason)
                    + ": nothing is received or sent any more, start another one";
  log(log_level::error, text);
  if (auto call = std::exchange(x.on_failure, nullptr))
    call(text);
}

caf::behavior watch(caf::event_based_actor* self, const caf::actor& dispatcher,
                    const caf::actor& supervisor,
                    std::function<void(const std::string&)> on_failure) {
  self->set_down_handler([self, x = watched{dispatcher.address(), 2, std::move(on_failure)}](
                             caf::down_msg& down) mutable {
    on_end(x, down);
    if (x.alive == 0)
      self->quit();
  });
  self->monitor(dispatcher);
  self->monitor(supervisor);
  return {[](caf::unit_t) {}};
}

} // namespace

void watch_center(caf::actor_system& system, const caf::actor& dispatcher,
                  const caf::actor& supervisor,
                  std::function<void(const std::string&)> on_failure) {
  system.spawn(watch, dispatcher, supervisor, std::move(on_failure));
}

} // namespace actors
