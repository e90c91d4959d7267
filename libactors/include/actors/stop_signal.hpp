#pragma once

#include <chrono>

#include "actors/export.hpp"

namespace actors {

/// Ctrl-C and SIGTERM as something to wait for. Make one at the beginning of `main`, so that a
/// signal that comes while the program starts is not its sudden end; while there is one, these
/// signals do nothing else. Its end lets them end the program again.
///
///     actors::stop_signal stop;
///     ...
///     stop.wait();
class ACTORS_EXPORT stop_signal {
public:
  stop_signal();

  ~stop_signal();

  stop_signal(const stop_signal&) = delete;
  stop_signal& operator=(const stop_signal&) = delete;

  /// Waits for the signal. Gives back its number: SIGINT or SIGTERM.
  int wait() const;

  /// Waits for so long at most. Gives back the signal's number, or 0 if none came.
  int wait_for(std::chrono::milliseconds limit) const;
};

/// Waits for Ctrl-C or SIGTERM from now on. Gives back the signal's number.
ACTORS_EXPORT int wait_for_stop_signal();

} // namespace actors
