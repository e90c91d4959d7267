#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include <sys/types.h>

#include "measurement.hpp"

namespace CLI {
class App;
} // namespace CLI

namespace bench {

/// What a client is asked to do: the same words for the bare loop and for
/// libactors.
struct work {
  std::string url = "amqp://guest:guest@127.0.0.1:5672";
  /// Of the events, see `make_bodies`.
  std::string kind = "book10";
  std::uint64_t count = 100'000;
  /// How many of them do not count.
  std::uint64_t warm_up = 10'000;
  std::string queue = "bench";
  std::uint16_t prefetch = 500;
  bool no_ack = false;
  /// Unconfirmed publications at a time.
  std::size_t window = 1'000;
  /// Whether the bare loop's messages have an id, a time and a place in a stream, as
  /// libactors gives to each.
  bool numbered = false;
  /// The broker's process, 0 for none.
  pid_t broker = 0;
  /// Events a second, where they come at a fixed rate.
  double rate = 1'000;
};

/// Adds the options that all commands have.
void add_options(CLI::App& to, work& out);

/// When events are due that come at a fixed rate, whoever is late: latency is
/// counted from then, so that a stall shows in all that it delayed.
class schedule {
public:
  explicit schedule(double rate);

  /// Waits until an event is due.
  void await(std::uint64_t number) const;

  /// Microseconds since an event was due.
  double lateness(std::uint64_t number, clock::time_point now) const;

private:
  clock::time_point due(std::uint64_t number) const;

  clock::time_point start_;
  double interval_;
};

} // namespace bench
