#include "runtime/leader_follower.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

#include <sys/timerfd.h>
#include <unistd.h>

namespace actors {

namespace {

using namespace std::chrono_literals;

itimerspec after(std::chrono::nanoseconds time) noexcept {
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
  if (!timer_is_set_)
    set_timer(patience_);
}

bool leader_follower::come_back() {
  std::lock_guard guard{mutex_};
  away_ = {};
  if (vacant_ && timer_is_set_ && !leaves_often_)
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
    timer_is_set_ = false;
    const auto left = patience_ - (clock::now() - left_at_);
    leads = !ended_ && vacant_ && left <= 0ns;
    if (!ended_ && vacant_ && !leads)
      set_timer(left);
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
    set_timer(0ns);
  }
  ending_.notify_all();
}

std::thread::id leader_follower::await_end() {
  std::unique_lock guard{mutex_};
  ending_.wait(guard, [this] { return ended_; });
  return away_;
}

// -- the timer ------------------------------------------------------------------------------

void leader_follower::set_timer(clock::duration time) {
  const auto value = after(std::max<std::chrono::nanoseconds>(time, 1ns)); // 0 would stop it
  ::timerfd_settime(timer_, 0, &value, nullptr);
  timer_is_set_ = true;
}

void leader_follower::stop_timer() {
  const auto value = after(0ns);
  ::timerfd_settime(timer_, 0, &value, nullptr);
  timer_is_set_ = false;
}

// A signal may end the wait early, which does no harm.
void leader_follower::await_timer() const {
  std::uint64_t times = 0;
  static_cast<void>(::read(timer_, &times, sizeof(times)) == sizeof(times));
}

} // namespace actors
