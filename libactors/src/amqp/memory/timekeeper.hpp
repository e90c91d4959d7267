#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "amqp/memory/message.hpp"

namespace actors::amqp::memory {

/// Wakes an in-process broker when something is due. The first deadline starts a thread for
/// that.
class timekeeper {
public:
  /// The thread calls `wake` with the mutex held; `wake` returns the next deadline.
  timekeeper(std::mutex& mutex, std::function<time_point()> wake);

  /// Must not be called with the mutex held.
  ~timekeeper();

  timekeeper(const timekeeper&) = delete;
  timekeeper& operator=(const timekeeper&) = delete;

  /// Makes the thread call `wake` at this time at the latest. Must be called with the mutex
  /// held.
  void wake_at(time_point when);

private:
  void run();

  std::mutex& mutex_;
  std::function<time_point()> wake_;
  std::condition_variable changed_;
  time_point next_ = never;
  bool stopped_ = false;
  std::thread thread_;
};

} // namespace actors::amqp::memory
