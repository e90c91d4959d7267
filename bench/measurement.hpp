#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

namespace bench {

using clock = std::chrono::steady_clock;

/// What this process, and the broker beside it, have used until now.
struct usage {
  clock::time_point at;
  /// User and system time of this process, in microseconds.
  double cpu = 0;
  /// The same of the broker, to 10 ms; 0 if it is not known.
  double broker = 0;
};

/// `broker` is the broker's process, 0 for none.
usage usage_now(pid_t broker);

/// The usage between two events of a run, so that neither the start nor the
/// first events, for which caches are cold, count.
class measurement {
public:
  /// Of `count` events the first `warm_up` do not count.
  measurement(std::uint64_t warm_up, std::uint64_t count, pid_t broker);

  /// Notes that the event with this number, from 1, has come.
  void event(std::uint64_t number) {
    if (number == warm_up_ || number == count_)
      note(number);
  }

  /// Events, events a second, microseconds of our own and the broker's CPU per
  /// event.
  std::vector<std::pair<std::string, double>> figures() const;

  /// These as one line of JSON on standard output.
  void print() const;

private:
  void note(std::uint64_t number);

  std::uint64_t warm_up_;
  std::uint64_t count_;
  pid_t broker_;
  usage begin_;
  usage end_;
};

/// Names and figures as one line of JSON on standard output.
void print_figures(const std::vector<std::pair<std::string, double>>& xs);

/// Latencies in microseconds as figures: p50, p90, p99, p99.9 and the largest.
void print_latencies(std::vector<double> xs, double cpu_per_event);

/// Resident memory of this process, in MiB.
double resident_mib();

} // namespace bench
