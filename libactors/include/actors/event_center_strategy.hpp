#pragma once

#include <string>
#include <type_traits>

#include <caf/scheduled_actor.hpp>

#include "actors/subscription.hpp"

namespace actors {

/// Lets an actor that has no exception handler of its own end with what its exception
/// said: CAF's handler forgets it. Called by the actor itself.
void keep_exception_text(caf::scheduled_actor& self);

/// Lets the log know who subscribes, and why it ends if it does. Called by the actor
/// itself, as its name is nobody else's to read.
template <class Self>
void introduce(Self&& self, subscription& what) {
  if constexpr (std::is_convertible_v<Self, caf::scheduled_actor*>)
    keep_exception_text(*self);
  if (what.strategy.empty())
    what.strategy = self->name();
}

} // namespace actors
