#pragma once

#include <exception>
#include <type_traits>
#include <utility>

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

} // namespace actors
