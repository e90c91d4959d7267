#include "woken_actors.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

#include <caf/intrusive_ptr.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>

namespace actors {

namespace {

using namespace std::chrono_literals;

/// As many messages as a turn has on the scheduler: `system_config`.
constexpr std::size_t turn = 300;

/// About what it costs to wake another thread.
constexpr auto quick = 100us;

/// A link loses no more than a tenth of its time to those who are slow.
constexpr auto rest = 10;
constexpr std::chrono::nanoseconds longest_rest = 1s;

} // namespace

woken_actors::woken_actors(caf::actor_system& system) : caf::execution_unit(&system) {
  // nop
}

woken_actors::~woken_actors() {
  pass_on();
}

bool woken_actors::waiting() const {
  std::lock_guard guard{mutex_};
  return !jobs_.empty();
}

void woken_actors::run() {
  {
    std::lock_guard guard{mutex_};
    running_ = true;
  }
  run_jobs();
  std::lock_guard guard{mutex_};
  running_ = false;
  given_up_ = false;
}

void woken_actors::run_jobs() {
  const auto began = clock::now();
  while (auto* job = next()) {
    // The reference that its mailbox took for us is passed on or given back.
    if (job->resume(this, turn) == caf::resumable::resume_later)
      system().scheduler().enqueue(job);
    else
      caf::intrusive_ptr_release(job);
    if (const auto taken = clock::now() - began; taken > quick)
      return run_elsewhere_for(rest * taken);
  }
}

void woken_actors::pass_on() {
  {
    std::lock_guard guard{mutex_};
    given_up_ = running_;
  }
  while (auto* job = next())
    system().scheduler().enqueue(job);
}

void woken_actors::exec_later(caf::resumable* job) {
  {
    std::lock_guard guard{mutex_};
    if (!given_up_ && (elsewhere_until_ == clock::time_point{} || clock::now() >= elsewhere_until_))
      return jobs_.push_back(job);
  }
  system().scheduler().enqueue(job);
}

caf::resumable* woken_actors::next() {
  std::lock_guard guard{mutex_};
  if (jobs_.empty())
    return nullptr;
  auto* result = jobs_.front();
  jobs_.pop_front();
  return result;
}

void woken_actors::run_elsewhere_for(clock::duration time) {
  {
    std::lock_guard guard{mutex_};
    elsewhere_until_ = clock::now() + std::min<clock::duration>(time, longest_rest);
  }
  pass_on();
}

} // namespace actors
