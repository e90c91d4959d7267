#pragma once

#include <chrono>
#include <deque>
#include <mutex>

#include <caf/actor_system.hpp>
#include <caf/execution_unit.hpp>
#include <caf/resumable.hpp>

#include "actors/amqp/transport.hpp"

namespace actors {

/// Runs the actors that a link's events have woken in the link's thread, and whom they
/// wake in turn, as long as they are quick: what takes longer than waking another thread
/// runs on the scheduler, and for some time after that everything does.
class woken_actors : public caf::execution_unit, public amqp::receivers {
public:
  explicit woken_actors(caf::actor_system& system);

  ~woken_actors() override;

  woken_actors(const woken_actors&) = delete;
  woken_actors& operator=(const woken_actors&) = delete;

  bool waiting() const override;
  void run() override;
  void pass_on() override;

  void exec_later(caf::resumable* job) override;

private:
  using clock = std::chrono::steady_clock;

  caf::resumable* next();
  void run_jobs();
  void run_elsewhere_for(clock::duration time);

  mutable std::mutex mutex_;
  std::deque<caf::resumable*> jobs_;
  clock::time_point elsewhere_until_;
  bool running_ = false;
  /// The one that runs needs long: it may wait for whom it wakes.
  bool given_up_ = false;
};

} // namespace actors
