#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <mutex>

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>
#include <caf/execution_unit.hpp>
#include <caf/message.hpp>
#include <caf/resumable.hpp>

#include "runtime/run_queue.hpp"

namespace actors {

/// What a thread has used until now.
struct thread_usage {
  /// Its time on a core.
  std::chrono::nanoseconds computing{0};
  /// How often it has slept.
  long sleeps = 0;

  /// Returns that of the calling thread.
  static thread_usage now();
};

/// Whether a thread has computed for longer than `limit` since then, or has slept. If not, it was
/// suspended for other threads.
bool was_slow(const thread_usage& then, const thread_usage& now, std::chrono::nanoseconds limit);

/// Runs the actors that a link's events have woken, and those that these actors wake, in the
/// link's thread as long as they are quick. Once they take longer than waking another thread
/// would, the remaining ones run on the scheduler, and for some time all others do as well. A
/// thread that the kernel has suspended for others is not slow: on a busy machine actors stay with
/// their link.
class link_run_queue : public run_queue {
public:
  /// Handlers that take less than `quick` together stay on the link's thread.
  explicit link_run_queue(caf::actor_system& system, std::chrono::microseconds quick = wake_up);

  ~link_run_queue() override;

  link_run_queue(const link_run_queue&) = delete;
  link_run_queue& operator=(const link_run_queue&) = delete;

  /// Has an idle receiver handle a message at once; actors that it wakes wait to be run.
  void give(const caf::actor& to, caf::message content);

  bool waiting() const override;
  void begin() override;
  void run() override;
  void pass_on() override;

  /// Queues an actor, or hands it to the scheduler after slow handlers.
  void add(caf::resumable* job);

  /// Somewhat more than the cost of waking another thread.
  static constexpr std::chrono::microseconds wake_up{100};

private:
  using clock = std::chrono::steady_clock;

  /// How many runs are watched after one that took long.
  static constexpr int watched_runs = 64;

  caf::resumable* next();
  void run_jobs();
  void run_elsewhere_for(clock::duration time);

  caf::actor_system& system_;
  caf::execution_unit& unit_;
  const std::chrono::microseconds quick_;
  mutable std::mutex mutex_;
  std::deque<caf::resumable*> jobs_;
  clock::time_point elsewhere_until_;
  bool running_ = false;
  /// How many of the next runs are watched.
  std::atomic<int> watched_ = 0;
  /// Whether the running actor takes long. It may wait for actors that it wakes, so these run
  /// elsewhere.
  bool given_up_ = false;
};

} // namespace actors
