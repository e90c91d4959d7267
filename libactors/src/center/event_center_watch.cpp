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
  /// Ourselves: CAF ends an actor that nobody knows.
  caf::actor self;
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
  auto x = std::make_shared<watched>();
  x->self = caf::actor_cast<caf::actor>(self);
  x->dispatcher = dispatcher.address();
  x->on_failure = std::move(on_failure);
  self->set_down_handler([self, x](caf::down_msg& down) {
    on_end(*x, down);
    if (x->alive > 0)
      return;
    self->quit();
    x->self = nullptr;
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
