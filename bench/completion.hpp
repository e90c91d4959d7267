#pragma once

#include <condition_variable>
#include <mutex>

namespace bench {

/// What a program's main thread waits for.
class completion {
public:
  void signal() {
    std::lock_guard guard{mutex_};
    signalled_ = true;
    changed_.notify_all();
  }

  void wait() {
    std::unique_lock guard{mutex_};
    changed_.wait(guard, [this] { return signalled_; });
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool signalled_ = false;
};

} // namespace bench
