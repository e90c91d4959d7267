#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace program {

/// Ctrl-C and SIGTERM as a request to stop, taken by a thread of its own: no
/// work is done in a signal handler. SIGPIPE is ignored, so that a closed
/// output is an error of the write. Make it first in `main`: threads started
/// earlier would not have the signals blocked.
class stop_signal {
public:
  stop_signal();

  ~stop_signal();

  stop_signal(const stop_signal&) = delete;
  stop_signal& operator=(const stop_signal&) = delete;

  bool requested() const;

  /// Waits for the request, at most so long. True: it came.
  bool wait_for(std::chrono::milliseconds limit) const;

  /// Calls `f` when the request comes, from the signal's thread; at once if it
  /// has come. An empty function forgets the former one.
  void then(std::function<void()> f);

private:
  void run();

  /// Wakes the thread for its end.
  int wake_fd_;
  int signal_fd_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  bool requested_ = false;
  std::function<void()> then_;
  std::thread thread_;
};

} // namespace program
