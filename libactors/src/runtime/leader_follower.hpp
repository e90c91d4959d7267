#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

namespace actors {

/// Leader/Followers: one of two threads, the leader, serves a link. When the leader leaves to
/// run handlers and stays away too long, the follower takes over, and the former leader follows
/// on its return. Quick handlers therefore wake no thread, and slow handlers do not hold up the
/// link.
///
/// The follower waits for a timer, which the leader sets when it leaves and stops when it is back.
/// A leader that leaves often does neither each time: it sets the timer again before it expires, so
/// that the follower sleeps on.
class leader_follower {
public:
  explicit leader_follower(std::chrono::milliseconds patience);

  ~leader_follower();

  leader_follower(const leader_follower&) = delete;
  leader_follower& operator=(const leader_follower&) = delete;

  /// Whether there was a file descriptor for the timer. If not, no other function may be called.
  bool ok() const noexcept {
    return timer_ >= 0;
  }

  /// Whether the leader has a follower. If so, that holds until the leader leaves.
  bool followed() const;

  /// Marks the leader as away. The leader must not leave without a follower.
  void leave();

  /// Marks the leader as back. Returns false if the other thread leads by now.
  bool come_back();

  /// Waits until the leader has been away for `patience`; the caller leads then. Returns false
  /// after `end`.
  bool follow();

  /// Ends both roles: the leader has finished, and nothing is left to lead.
  void end();

  /// Waits for `end`. Returns the id of a thread that is still away, if any; it has nothing left
  /// to do but to notice the end.
  std::thread::id await_end();

private:
  using clock = std::chrono::steady_clock;

  void set_timer(clock::time_point at);
  void stop_timer();
  void await_timer() const;

  const clock::duration patience_;
  const int timer_;
  mutable std::mutex mutex_;
  std::condition_variable ending_;
  std::thread::id away_;
  clock::time_point left_at_;
  bool leaves_often_ = false;
  /// When the timer expires; nothing if it is not set.
  std::optional<clock::time_point> expires_at_;
  bool vacant_ = false;
  bool followed_ = false;
  bool ended_ = false;
};

} // namespace actors
