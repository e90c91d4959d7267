#pragma once

#include <exception>
#include <type_traits>
#include <utility>

#include <caf/result.hpp>
#include <caf/scheduled_actor.hpp>

#include "actors/error.hpp"

namespace actors {

namespace detail {

template <class State, class F, class R, class... Ts>
auto guard(State& state, F f, R (F::*)(Ts...) const) {
  return [&state, f = std::move(f)](Ts... xs) -> R {
    try {
      return f(std::forward<Ts>(xs)...);
    } catch (...) {
      state.on_exception(std::current_exception());
    }
    if constexpr (!std::is_void_v<R>)
      return make_error(ec::handler_failed, "the event center failed with this message");
  };
}

} // namespace detail

/// Wraps a message handler of an actor that must not end: an exception of the handler goes to
/// `state.on_exception`, and the actor lives on.
template <class State, class F>
auto guarded(State& state, F f) {
  return detail::guard(state, std::move(f), &F::operator());
}

/// Has an actor live on, whatever comes back for what it sends: CAF sends a handler's result back,
/// even if the message was no request. By default an error would end the actor, and the complaint
/// about a value would end its sender. `on_error` takes the errors; neither is answered.
template <class F>
void live_on(caf::scheduled_actor* self, F on_error) {
  self->set_error_handler([on_error](caf::error& x) { on_error(x); });
  self->set_default_handler([](caf::scheduled_actor*, caf::message_view&) {
    return caf::result<caf::message>{caf::delegated<caf::message>{}};
  });
}

} // namespace actors
