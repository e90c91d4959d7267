#include "runtime/link_run_queue.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include <sys/resource.h>

#include <caf/intrusive_ptr.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>

#include "runtime/run_inline.hpp"
#include "runtime/work_sharing.hpp"

namespace actors {

namespace {

using namespace std::chrono_literals;

/// A link loses at most a tenth of its time to slow handlers.
constexpr auto backoff_factor = 10;
constexpr std::chrono::nanoseconds longest_rest = 1s;

/// The run queue of the link whose thread this is, if any.
thread_local link_run_queue* here = nullptr;

class in_this_thread {
public:
  explicit in_this_thread(link_run_queue& x) : before_(std::exchange(here, &x)) {
    // nop
  }

  ~in_this_thread() {
    here = before_;
  }

  in_this_thread(const in_this_thread&) = delete;
  in_this_thread& operator=(const in_this_thread&) = delete;

private:
  link_run_queue* before_;
};

/// The execution unit of actors on a link's thread. Actors keep a pointer to it afterwards, and
/// so does a blocking actor that one of them spawns, so it must outlive the link and refer to
/// none.
class link_unit : public caf::execution_unit {
public:
  explicit link_unit(caf::actor_system& system) : caf::execution_unit(&system) {
    // nop
  }

  void exec_later(caf::resumable* job) override {
    if (here != nullptr)
      here->add(job);
    else
      system().scheduler().enqueue(job);
  }
};

/// Returns the unit of a system, which is never freed, because the system's last actor may need
/// it.
caf::execution_unit& unit_of(caf::actor_system& system) {
  static std::mutex mutex;
  static auto& units = *new std::map<caf::actor_system*, link_unit>;
  std::lock_guard guard{mutex};
  return units.try_emplace(&system, system).first->second;
}

/// Keeps a system from ending while a foreign thread runs its actors, which need the system even
/// after they have ended.
class guest_thread {
public:
  explicit guest_thread(caf::actor_system& system) : system_(system) {
    system_.inc_detached_threads();
  }

  ~guest_thread() {
    system_.dec_detached_threads();
  }

  guest_thread(const guest_thread&) = delete;
  guest_thread& operator=(const guest_thread&) = delete;

private:
  caf::actor_system& system_;
};

} // namespace

thread_usage thread_usage::now() {
  const auto time = [](const timeval& x) {
    return std::chrono::seconds{x.tv_sec} + std::chrono::microseconds{x.tv_usec};
  };
  rusage used{};
  ::getrusage(RUSAGE_THREAD, &used);
  return {time(used.ru_utime) + time(used.ru_stime), used.ru_nvcsw};
}

bool was_slow(const thread_usage& then, const thread_usage& now, std::chrono::nanoseconds limit) {
  return now.sleeps != then.sleeps || now.computing - then.computing > limit;
}

link_run_queue::link_run_queue(caf::actor_system& system, std::chrono::microseconds quick)
    : system_(system), unit_(unit_of(system)), quick_(quick) {
  // nop
}

link_run_queue::~link_run_queue() {
  pass_on();
}

void link_run_queue::give(const caf::actor& to, caf::message content) {
  in_this_thread guard{*this};
  run_inline receiver{system_, unit_};
  to->enqueue(nullptr, caf::make_message_id(), std::move(content), &receiver);
}

bool link_run_queue::waiting() const {
  std::lock_guard guard{mutex_};
  return !jobs_.empty();
}

void link_run_queue::begin() {
  std::lock_guard guard{mutex_};
  running_ = true;
}

void link_run_queue::run() {
  guest_thread guest{system_};
  run_jobs();
  std::lock_guard guard{mutex_};
  running_ = false;
  given_up_ = false;
}

// The first run that takes long sends its other actors to the scheduler, and the runs that follow
// are watched. A watched run tells whether actors were slow or their thread had no core.
void link_run_queue::run_jobs() {
  in_this_thread guard{*this};
  const auto before = watched_ > 0 ? std::optional{thread_usage::now()} : std::nullopt;
  auto began = clock::now();
  while (auto* job = next()) {
    // The mailbox took a reference for us, which is passed on or released here.
    if (job->resume(&unit_, work_sharing::turn) == caf::resumable::resume_later)
      system_.scheduler().enqueue(job);
    else
      caf::intrusive_ptr_release(job);
    const auto now = clock::now();
    if (now - began <= quick_)
      continue;
    watched_ = watched_runs;
    if (!before)
      return pass_on();
    if (was_slow(*before, thread_usage::now(), quick_))
      return run_elsewhere_for(backoff_factor * (now - began));
    began = now;
  }
  if (before)
    --watched_;
}

void link_run_queue::pass_on() {
  {
    std::lock_guard guard{mutex_};
    given_up_ = running_;
  }
  while (auto* job = next())
    system_.scheduler().enqueue(job);
}

void link_run_queue::add(caf::resumable* job) {
  {
    std::lock_guard guard{mutex_};
    if (!given_up_ && (elsewhere_until_ == clock::time_point{} || clock::now() >= elsewhere_until_))
      return jobs_.push_back(job);
  }
  system_.scheduler().enqueue(job);
}

caf::resumable* link_run_queue::next() {
  std::lock_guard guard{mutex_};
  if (jobs_.empty())
    return nullptr;
  auto* result = jobs_.front();
  jobs_.pop_front();
  return result;
}

void link_run_queue::run_elsewhere_for(clock::duration time) {
  {
    std::lock_guard guard{mutex_};
    elsewhere_until_ = clock::now() + std::min<clock::duration>(time, longest_rest);
  }
  pass_on();
}

} // namespace actors
