#pragma once

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

/// Runs the actors that a link's events have woken in the link's thread, and whom they
/// wake in turn, as long as they are quick: what takes longer than waking another thread
/// runs on the scheduler, and for some time after that everything does.
class link_run_queue : public run_queue {
public:
  /// Those are quick who run for less than what is given.
  explicit link_run_queue(caf::actor_system& system, std::chrono::microseconds quick = wake_up);

  ~link_run_queue() override;

  link_run_queue(const link_run_queue&) = delete;
  link_run_queue& operator=(const link_run_queue&) = delete;

  /// Has an idle receiver handle a message at once; whom it wakes waits to be run.
  void give(const caf::actor& to, caf::message what);

  bool waiting() const override;
  void begin() override;
  void run() override;
  void pass_on() override;

  /// Lets an actor wait to be run, or has it run elsewhere if there is a reason to.
  void add(caf::resumable* job);

  /// More than what it costs to wake another thread.
  static constexpr std::chrono::microseconds wake_up{100};

private:
  using clock = std::chrono::steady_clock;

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
  /// The one that runs needs long: it may wait for whom it wakes.
  bool given_up_ = false;
};

} // namespace actors
