#include "amqp/memory/timekeeper.hpp"

#include <system_error>
#include <utility>

#include <pthread.h>

#include "runtime/signal_mask.hpp"

namespace actors::amqp::memory {

timekeeper::timekeeper(std::mutex& mutex, std::function<time_point()> wake)
    : mutex_(mutex), wake_(std::move(wake)) {
  // nop
}

timekeeper::~timekeeper() {
  {
    std::lock_guard guard{mutex_};
    stopped_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable())
    thread_.join();
}

void timekeeper::wake_at(time_point when) {
  if (when >= next_)
    return;
  next_ = when;
  if (thread_.joinable()) {
    changed_.notify_one();
    return;
  }
  try {
    blocked_signals guard;
    thread_ = std::thread{[this] { run(); }};
    ::pthread_setname_np(thread_.native_handle(), "memory-broker");
  } catch (const std::system_error&) {
    // Events that are due wait for the next call of the broker if there is no thread.
    next_ = never;
  }
}

void timekeeper::run() {
  std::unique_lock guard{mutex_};
  while (!stopped_) {
    if (next_ == never)
      changed_.wait(guard);
    else if (std::chrono::steady_clock::now() < next_)
      changed_.wait_until(guard, next_);
    else
      next_ = wake_();
  }
}

} // namespace actors::amqp::memory
