#include "runtime/work_sharing.hpp"

#include <algorithm>
#include <exception>
#include <string>
#include <thread>

#include <pthread.h>

#include <caf/actor_system.hpp>
#include <caf/intrusive_ptr.hpp>
#include <caf/logger.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>

#include "actors/logging.hpp"
#include "runtime/repeated_log.hpp"
#include "runtime/signal_mask.hpp"

namespace actors {

namespace {

/// Whether the job ends a worker. CAF ends its workers by such jobs, of which each worker must
/// take one.
bool ends_a_worker(const caf::resumable& job) {
  return job.subtype() == caf::resumable::unspecified;
}

} // namespace

using data = work_sharing::coordinator_data;

data::coordinator_data(caf::scheduler::abstract_coordinator* coordinator, reserve_limits limits)
    : caf::execution_unit(coordinator != nullptr ? &coordinator->system() : nullptr),
      coordinator_(coordinator),
      limits_(limits) {
  ::pthread_sigmask(SIG_SETMASK, nullptr, &signals_);
}

data::~coordinator_data() {
  end_reserve();
}

void data::exec_later(caf::resumable* job) {
  push(job);
}

caf::resumable* data::take_if_any() {
  std::lock_guard guard{mutex_};
  return jobs_.empty() ? nullptr : take();
}

/// The queue works as without a reserve if the thread cannot start; the next job that has to
/// wait tries again.
void data::start_watch() {
  if (start(&coordinator_data::watch))
    return;
  std::unique_lock guard{mutex_};
  watched_ = false;
  leave(guard);
}

void data::watch() {
  ::pthread_setname_np(::pthread_self(), "actors.watch");
  std::unique_lock guard{mutex_};
  auto somebody_waited = clock::now();
  while (!stopped_) {
    const auto taken_before = taken();
    const auto waited = jobs_.size();
    stopping_.wait_for(guard, limits_.look, [this] { return stopped_; });
    const auto now = clock::now();
    const auto taken_since = taken() - taken_before;
    if (!jobs_.empty())
      somebody_waited = now;
    else if (now - somebody_waited >= limits_.stay)
      break;
    // Jobs are taken in order, so some of the jobs that waited at the last look wait still.
    if (!stopped_ && taken_since < waited && taken_since < workers() + helping_)
      grow(guard);
  }
  watched_ = false;
  leave(guard);
}

/// Doubles the reserve, so that many blocking jobs need few looks until the last one runs.
void data::grow(std::unique_lock<std::mutex>& guard) {
  const auto room = limits_.most - std::min(limits_.most, helping_);
  if (room == 0)
    return tell(guard);
  const auto more = std::min({std::max<std::size_t>(helping_, 1), jobs_.size(), room});
  helping_ += more;
  threads_ += more;
  guard.unlock();
  std::size_t missing = 0;
  for (std::size_t i = 0; i < more; ++i)
    missing += start(&coordinator_data::help) ? 0 : 1;
  guard.lock();
  // The caller is one of the threads, so this never removes the last one.
  helping_ -= missing;
  threads_ -= missing;
}

void data::help() {
  ::pthread_setname_np(::pthread_self(), "actors.reserve");
  if (coordinator_ != nullptr) {
    CAF_SET_LOGGER_SYS(&system());
    system().thread_started();
  }
  std::unique_lock guard{mutex_};
  auto asks = clock::now() + limits_.stay;
  auto taken_before = taken_by_workers_;
  auto idle = true;
  while (!stopped_) {
    if (const auto now = clock::now(); now >= asks) {
      // An idle thread stays for the next job that the workers do not take.
      if (!held_up(taken_before) || (idle && reserve_.sleeping > 0))
        break;
      tell(guard);
      asks = now + limits_.stay;
      taken_before = taken_by_workers_;
      idle = true;
    } else if (jobs_.empty()) {
      reserve_.fall_asleep();
      reserve_.wake.wait_until(guard, asks);
      reserve_.wake_up();
    } else if (ends_a_worker(*jobs_.front())) {
      break;
    } else {
      auto* job = take();
      ++taken_by_reserve_;
      idle = false;
      guard.unlock();
      run(job);
      guard.lock();
    }
  }
  --helping_;
  // This thread may have been woken for a job, which must not be forgotten.
  const auto watch = !jobs_.empty() && begin_watch();
  guard.unlock();
  if (watch)
    start_watch();
  if (coordinator_ != nullptr)
    system().thread_terminates();
  guard.lock();
  leave(guard);
}

/// Runs a job as CAF's worker does.
void data::run(caf::resumable* job) {
  const auto throughput = coordinator_ != nullptr ? coordinator_->max_throughput() : turn;
  if (job->resume(this, throughput) == caf::resumable::resume_later)
    push(job);
  else
    caf::intrusive_ptr_release(job);
}

/// Must be the last use of this object in a thread: the destructor may proceed after it. The
/// notification therefore comes before the lock is released.
void data::leave(std::unique_lock<std::mutex>&) {
  if (--threads_ == 0)
    ended_.notify_all();
}

/// Starts a thread of the reserve. The calling thread may block signals (a link's does), so the
/// reserve sets the mask of the workers; the new thread blocks all signals until then.
bool data::start(void (coordinator_data::*body)()) {
  try {
    blocked_signals no_signals;
    std::thread{[this, body] {
      ::pthread_sigmask(SIG_SETMASK, &signals_, nullptr);
      (this->*body)();
    }}.detach();
    return true;
  } catch (const std::exception&) {
    return false; // no thread or no memory
  }
}

void data::end_reserve() {
  std::unique_lock guard{mutex_};
  stopped_ = true;
  stopping_.notify_all();
  reserve_.wake.notify_all();
  ended_.wait(guard, [this] { return threads_ == 0; });
}

/// Whether the workers, by the jobs that they took during `limits_.stay`, need longer than a
/// look for each job.
bool data::held_up(std::uint64_t taken_before) const {
  const auto looks = static_cast<std::uint64_t>(limits_.stay / limits_.look);
  return workers_.sleeping == 0 && taken_by_workers_ - taken_before < workers() * looks;
}

void data::tell(std::unique_lock<std::mutex>& guard) {
  // One line stands for all threads of the reserve.
  const auto now = clock::now();
  if (told_ != clock::time_point{} && now - told_ < limits_.stay)
    return;
  told_ = now;
  const auto text = "all " + std::to_string(workers()) + " workers of the scheduler are held up by "
                    + "handlers that block: reserve threads, " + std::to_string(helping_)
                    + " now, run the others; spawn strategies that block with caf::detached";
  guard.unlock();
  log_repeated(log_level::warning, "workers held up", {}, text);
  guard.lock();
}

std::size_t data::workers() const {
  return coordinator_ != nullptr ? coordinator_->num_workers() : 1;
}

std::uint64_t data::taken() const {
  return taken_by_workers_ + taken_by_reserve_;
}

} // namespace actors
