#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "amqp/memory/message.hpp"

namespace actors::amqp::memory {

/// Wakes an in-process broker when something is due, on a thread of its own that
/// is started with the first deadline.
class timekeeper {
public:
  /// `wake` is called with the mutex held, and gives back the next deadline.
  timekeeper(std::mutex& mutex, std::function<time_point()> wake);

  /// Must not be called with the mutex held.
  ~timekeeper();

  timekeeper(const timekeeper&) = delete;
  timekeeper& operator=(const timekeeper&) = delete;

  /// Sees to it that `wake` is called at this time at the latest. Must be called
  /// with the mutex held.
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
