#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>

#include <caf/policy/unprofiled.hpp>
#include <caf/resumable.hpp>

namespace caf::scheduler {
class abstract_coordinator;
} // namespace caf::scheduler

namespace actors {

/// One queue of jobs for all workers, as CAF's policy of that name, but a worker is
/// woken only if one sleeps, and when the queue's lock has been let go: CAF's wakes
/// under the lock, so that whoever is woken waits at once for it, which costs two more
/// changes of threads for each job.
class work_sharing : public caf::policy::unprofiled {
public:
  /// How many messages an actor handles before it is another's turn.
  static constexpr std::size_t turn = 300;

  class coordinator_data {
  public:
    explicit coordinator_data(caf::scheduler::abstract_coordinator*) {
      // nop
    }

    void push(caf::resumable* job) {
      auto wake = false;
      {
        std::lock_guard guard{mutex_};
        jobs_.push_back(job);
        wake = sleeping_ > 0;
        sleeping_ -= wake ? 1 : 0;
      }
      if (wake)
        wake_.notify_one();
    }

    caf::resumable* pop() {
      std::unique_lock guard{mutex_};
      while (jobs_.empty()) {
        ++sleeping_;
        wake_.wait(guard);
      }
      return take();
    }

    /// Gives what no worker has run to a function.
    template <class Function>
    void drain(Function f) {
      std::lock_guard guard{mutex_};
      while (!jobs_.empty())
        f(take());
    }

  private:
    caf::resumable* take() {
      auto* result = jobs_.front();
      jobs_.pop_front();
      return result;
    }

    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<caf::resumable*> jobs_;
    /// How many wait and have not been woken yet. It may count one too many for a
    /// while, after a worker woke by itself; then a wake-up finds nobody.
    std::size_t sleeping_ = 0;
  };

  struct worker_data {
    explicit worker_data(caf::scheduler::abstract_coordinator*) {
      // nop
    }
  };

  template <class Coordinator>
  void central_enqueue(Coordinator* self, caf::resumable* job) {
    d(self).push(job);
  }

  template <class Worker>
  void external_enqueue(Worker* self, caf::resumable* job) {
    d(self->parent()).push(job);
  }

  template <class Worker>
  void internal_enqueue(Worker* self, caf::resumable* job) {
    d(self->parent()).push(job);
  }

  /// A job that has used up its turn.
  template <class Worker>
  void resume_job_later(Worker* self, caf::resumable* job) {
    d(self->parent()).push(job);
  }

  template <class Worker>
  caf::resumable* dequeue(Worker* self) {
    return d(self->parent()).pop();
  }

  template <class Worker, class Function>
  void foreach_resumable(Worker*, Function) {
    // Workers keep no jobs to themselves.
  }

  template <class Coordinator, class Function>
  void foreach_central_resumable(Coordinator* self, Function f) {
    d(self).drain(f);
  }
};

} // namespace actors
