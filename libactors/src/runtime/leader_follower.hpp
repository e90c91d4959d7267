#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

namespace actors {

/// Leader/Followers: one of two threads, the leader, serves a link. When the leader leaves to
/// run handlers and stays away too long, the follower takes over, and the former leader follows
/// on its return. Quick handlers therefore wake no thread, and slow handlers do not hold up the
/// link.
class leader_follower {
public:
  explicit leader_follower(std::chrono::milliseconds patience) : patience_(patience) {
    // nop
  }

  /// Whether the leader has a follower. If so, that holds until the leader leaves.
  bool followed() const;

  /// Marks the leader as away. The leader must not leave without a follower.
  void leave();

  /// Marks the leader as back. Returns false if the other thread leads by now.
  bool come_back();

  /// Waits until the leader has been away for `patience`, or up to twice as long; the caller
  /// leads then. Returns false after `end`.
  bool follow();

  /// Ends both roles: the leader has finished, and nothing is left to lead.
  void end();

  /// Waits for `end`. Returns the id of a thread that is still away, if any; it has nothing left
  /// to do but to notice the end.
  std::thread::id await_end();

private:
  /// The number of looks at the leader before the follower sleeps until the next `leave`.
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
