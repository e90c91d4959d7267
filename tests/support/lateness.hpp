#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>

namespace actors::testing {

/// How late this machine is with everything: who waits for us may not be blamed for that.
class lateness {
public:
  lateness();

  ~lateness();

  lateness(const lateness&) = delete;
  lateness& operator=(const lateness&) = delete;

  /// What may last so long on a machine of our own, and a broker's, may have lasted so long
  /// since the last call.
  std::chrono::milliseconds take(std::chrono::milliseconds limit);

private:
  /// Processor time in seconds since the start.
  struct usage {
    double all = 0;
    double idle = 0;
    /// This process and all RabbitMQs.
    double ours = 0;
  };

  static usage look();
  void run();

  std::atomic<bool> stopped_ = false;
  std::atomic<std::int64_t> worst_ms_ = 0;
  usage before_;
  std::thread watch_;
};

} // namespace actors::testing
