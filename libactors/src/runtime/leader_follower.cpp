#include "runtime/leader_follower.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

#include <sys/timerfd.h>
#include <unistd.h>

namespace actors {

namespace {

using namespace std::chrono_literals;

/// The clock is the steady one, whose times count from the start of the machine. A time of 0 would
/// stop the timer.
itimerspec at_time(std::chrono::nanoseconds time) noexcept {
  itimerspec result{};
  const auto whole = std::chrono::duration_cast<std::chrono::seconds>(time);
  result.it_value.tv_sec = whole.count();
  result.it_value.tv_nsec = (time - whole).count();
  return result;
}

} // namespace

leader_follower::leader_follower(std::chrono::milliseconds patience)
    : patience_(patience), timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC)) {
  // nop
}

leader_follower::~leader_follower() {
  if (ok())
    ::close(timer_);
}

bool leader_follower::followed() const {
  std::lock_guard guard{mutex_};
  return followed_;
}

void leader_follower::leave() {
  std::lock_guard guard{mutex_};
  const auto now = clock::now();
  leaves_often_ = now - left_at_ < patience_ / 4;
  left_at_ = now;
  vacant_ = true;
  away_ = std::this_thread::get_id();
  if (!expires_at_ || *expires_at_ - now < patience_ / 2)
    set_timer(now + patience_);
}

bool leader_follower::come_back() {
  std::lock_guard guard{mutex_};
  away_ = {};
  if (vacant_ && expires_at_ && !leaves_often_)
    stop_timer();
  return std::exchange(vacant_, false);
}

bool leader_follower::follow() {
  std::unique_lock guard{mutex_};
  followed_ = true;
  auto leads = false;
  while (!ended_ && !leads) {
    guard.unlock();
    await_timer();
    guard.lock();
    const auto now = clock::now();
    if (expires_at_ && now >= *expires_at_)
      expires_at_.reset();
    leads = !ended_ && vacant_ && now - left_at_ >= patience_;
    if (!ended_ && vacant_ && !leads)
      set_timer(left_at_ + patience_);
  }
  if (leads)
    vacant_ = false;
  followed_ = false;
  return leads;
}

void leader_follower::end() {
  {
    std::lock_guard guard{mutex_};
    ended_ = true;
    set_timer({});
  }
  ending_.notify_all();
}

std::thread::id leader_follower::await_end() {
  std::unique_lock guard{mutex_};
  ending_.wait(guard, [this] { return ended_; });
  return away_;
}

// -- the timer ------------------------------------------------------------------------------

void leader_follower::set_timer(clock::time_point at) {
  const auto value = at_time(std::max<std::chrono::nanoseconds>(at.time_since_epoch(), 1ns));
  ::timerfd_settime(timer_, TFD_TIMER_ABSTIME, &value, nullptr);
  expires_at_ = at;
}

void leader_follower::stop_timer() {
  const itimerspec value{};
  ::timerfd_settime(timer_, 0, &value, nullptr);
  expires_at_.reset();
}

// A signal may end the wait early, which does no harm.
void leader_follower::await_timer() const {
  std::uint64_t times = 0;
  static_cast<void>(::read(timer_, &times, sizeof(times)) == sizeof(times));
}

} // namespace actors
