#pragma once

#include <chrono>

#include "actors/export.hpp"

namespace actors {

/// Waits for Ctrl-C or SIGTERM. While a `stop_signal` exists these signals do not end the program.
/// A `stop_signal` belongs at the beginning of `main`, so that a signal during the start does not
/// end the program abruptly. The destructor restores the signals' usual effect.
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

  /// Waits for a signal. Returns the signal's number: SIGINT or SIGTERM.
  int wait() const;

  /// Waits up to `limit`. Returns the signal's number, or 0 if no signal came.
  int wait_for(std::chrono::milliseconds limit) const;
};

/// Makes a `stop_signal` and waits. Returns the signal's number.
ACTORS_EXPORT int wait_for_stop_signal();

} // namespace actors
