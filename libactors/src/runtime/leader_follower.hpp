#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

namespace actors {

/// Which of two threads serves a link (the pattern Leader/Followers): the leader does,
/// until it goes away to run what may take long. If it is not back soon the follower
/// leads, and whoever comes back too late follows. So nobody has to be woken for what
/// is quick, and what is slow does not hold up the link.
class leader_follower {
public:
  explicit leader_follower(std::chrono::milliseconds patience) : patience_(patience) {
    // nop
  }

  /// Whether somebody follows the leader. If so, that is so until it leaves.
  bool followed() const;

  /// The leader goes away. It must stay if nobody follows.
  void leave();

  /// The leader is back. False if it leads no more.
  bool come_back();

  /// Waits until the leader has been away for the patience's time, or up to twice as
  /// long: then the caller leads. False when there is nothing to lead any more.
  bool follow();

  /// The leader ends: there is nothing to lead any more.
  void end();

  /// Waits for the end. Gives the thread that is away even then, if one is: all that it
  /// has left to do is to learn of the end.
  std::thread::id await_end();

private:
  /// Looks at the leader that often before it sleeps until somebody leaves again.
  static constexpr int max_idle_polls = 20;

  const std::chrono::milliseconds patience_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::thread::id away_;
  std::uint64_t departures_ = 0;
  bool vacant_ = false;
  bool followed_ = false;
  bool asleep_ = false;
  bool ended_ = false;
};

} // namespace actors
