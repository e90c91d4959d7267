#include "center/event_center_watch.hpp"

#include <memory>
#include <utility>

#include <caf/actor_cast.hpp>
#include <caf/behavior.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/exit_reason.hpp>

#include "actors/error.hpp"
#include "actors/logging.hpp"

namespace actors {

namespace {

struct watched {
  /// The watch itself: CAF ends an actor without references.
  caf::actor self;
  caf::actor_addr dispatcher;
  int alive = 2;
  std::function<void(const std::string&)> on_failure;
};

void on_end(watched& state, const caf::down_msg& down) {
  --state.alive;
  if (down.reason == caf::exit_reason::user_shutdown)
    return;
  const auto text = std::string{"event center: its "}
                    + (down.source == state.dispatcher ? "dispatcher" : "supervisor")
                    + " has ended before it was stopped: " + text_of(down.reason)
                    + ": nothing is received or sent any more, start another one";
  log(log_level::error, text);
  if (auto call = std::exchange(state.on_failure, nullptr))
    call(text);
}

caf::behavior watch(caf::event_based_actor* self, const caf::actor& dispatcher,
                    const caf::actor& supervisor,
                    std::function<void(const std::string&)> on_failure) {
  auto state = std::make_shared<watched>();
  state->self = caf::actor_cast<caf::actor>(self);
  state->dispatcher = dispatcher.address();
  state->on_failure = std::move(on_failure);
  self->set_down_handler([self, state](caf::down_msg& down) {
    on_end(*state, down);
    if (state->alive > 0)
      return;
    self->quit();
    state->self = nullptr;
  });
  self->monitor(dispatcher);
  self->monitor(supervisor);
  return {[](const caf::unit_t&) {}};
}

} // namespace

void watch_center(caf::actor_system& system, const caf::actor& dispatcher,
                  const caf::actor& supervisor,
                  std::function<void(const std::string&)> on_failure) {
  system.spawn(watch, dispatcher, supervisor, std::move(on_failure));
}

} // namespace actors
