#include "runtime/leader_follower.hpp"

#include <utility>

namespace actors {

bool leader_follower::followed() const {
  std::lock_guard guard{mutex_};
  return followed_;
}

void leader_follower::leave() {
  auto wake = false;
  {
    std::lock_guard guard{mutex_};
    vacant_ = true;
    away_ = std::this_thread::get_id();
    ++departures_;
    wake = asleep_;
  }
  if (wake)
    changed_.notify_all();
}

bool leader_follower::come_back() {
  std::lock_guard guard{mutex_};
  away_ = {};
  return std::exchange(vacant_, false);
}

bool leader_follower::follow() {
  std::unique_lock guard{mutex_};
  followed_ = true;
  auto seen = departures_;
  for (auto left = max_idle_polls; !ended_;) {
    asleep_ = left == 0;
    if (asleep_)
      changed_.wait(guard, [&] { return ended_ || departures_ != seen; });
    else
      changed_.wait_for(guard, patience_, [&] { return ended_; });
    if (ended_)
      break;
    if (departures_ != seen) {
      seen = departures_;
      left = max_idle_polls;
    } else if (vacant_) {
      vacant_ = false;
      followed_ = false;
      return true;
    } else {
      --left;
    }
  }
  followed_ = false;
  return false;
}

void leader_follower::end() {
  {
    std::lock_guard guard{mutex_};
    ended_ = true;
  }
  changed_.notify_all();
}

std::thread::id leader_follower::await_end() {
  std::unique_lock guard{mutex_};
  changed_.wait(guard, [this] { return ended_; });
  return away_;
}

} // namespace actors
