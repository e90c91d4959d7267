#pragma once

#include <caf/atom.hpp>

namespace program {

/// Asks an actor of a program to end in order.
using stop_atom = caf::atom_constant<caf::atom("stop")>;

constexpr stop_atom stop_atom_v{};

} // namespace program
