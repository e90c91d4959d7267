#pragma once

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>

#include <caf/execution_unit.hpp>
#include <caf/policy/unprofiled.hpp>
#include <caf/resumable.hpp>

namespace caf::scheduler {
class abstract_coordinator;
} // namespace caf::scheduler

namespace actors {

/// One queue of jobs for all workers, like CAF's policy of that name, but `push` notifies only
/// if a worker sleeps, and after releasing the queue's lock. CAF notifies under the lock, so
/// that the woken worker waits for the lock at once, which costs two more thread switches per
/// job.
///
/// A reserve of threads helps out when handlers block workers. A job that finds no worker asleep
/// starts a thread that watches the queue. If, between two looks, fewer jobs were taken than
/// there are threads, and a job waits still, then each running job takes longer than a look, and
/// the reserve grows. The reserve shrinks when workers are free again.
class work_sharing : public caf::policy::unprofiled {
public:
  /// How many messages an actor handles before another actor's turn.
  static constexpr std::size_t turn = 300;

  struct reserve_limits {
    /// The time between two looks at the queue.
    std::chrono::milliseconds look{20};
    /// The time after which a reserve thread checks whether it is still needed, and the watching
    /// thread ends if no job has waited.
    std::chrono::milliseconds stay{1000};
    /// The largest number of reserve threads; 0 turns the watch off.
    std::size_t most = 128;
  };

  /// The data of the scheduler, and the execution unit of the reserve. Actors keep a pointer to
  /// that unit, as they keep one to a worker; both live as long as the scheduler.
  class coordinator_data : private caf::execution_unit {
  public:
    /// The reserve takes the same signals as the thread that calls this, as workers do.
    explicit coordinator_data(caf::scheduler::abstract_coordinator* coordinator)
        : coordinator_data(coordinator, reserve_limits{}) {
      // nop
    }

    coordinator_data(caf::scheduler::abstract_coordinator* coordinator, reserve_limits limits);

    ~coordinator_data() override;

    coordinator_data(const coordinator_data&) = delete;
    coordinator_data& operator=(const coordinator_data&) = delete;

    void push(caf::resumable* job) {
      sleepers* awake = nullptr;
      auto watch = false;
      {
        std::lock_guard guard{mutex_};
        jobs_.push_back(job);
        if (workers_.claim())
          awake = &workers_;
        else if (reserve_.claim())
          awake = &reserve_;
        else
          watch = begin_watch();
      }
      if (awake != nullptr)
        awake->wake.notify_one();
      else if (watch)
        start_watch();
    }

    caf::resumable* pop() {
      std::unique_lock guard{mutex_};
      while (jobs_.empty()) {
        workers_.fall_asleep();
        workers_.wake.wait(guard);
        workers_.wake_up();
      }
      ++taken_by_workers_;
      return take();
    }

    /// Ends the reserve, then passes the jobs that no worker has run to `f`.
    template <class Function>
    void drain(Function f) {
      end_reserve();
      while (auto* job = take_if_any())
        f(job);
    }

    /// Workers and reserve threads that sleep with no job coming, and all threads of the
    /// reserve, the watching one included.
    struct counts {
      std::size_t idle_workers = 0;
      std::size_t idle_reserve = 0;
      std::size_t reserve = 0;
    };

    counts count() const {
      std::lock_guard guard{mutex_};
      return {workers_.sleeping - workers_.woken, reserve_.sleeping - reserve_.woken, threads_};
    }

  private:
    using clock = std::chrono::steady_clock;

    /// Threads that wait for jobs. The counts stay exact when a thread wakes by itself: for each
    /// job that has claimed a thread, one thread looks at the queue, so that the job needs no
    /// watch.
    struct sleepers {
      std::condition_variable wake;
      std::size_t sleeping = 0;
      /// The number of sleeping threads that are about to look at the queue.
      std::size_t woken = 0;

      void fall_asleep() {
        ++sleeping;
      }

      void wake_up() {
        --sleeping;
        woken -= woken > 0 ? 1 : 0;
      }

      bool claim() {
        if (sleeping == woken)
          return false;
        ++woken;
        return true;
      }
    };

    caf::resumable* take() {
      auto* result = jobs_.front();
      jobs_.pop_front();
      return result;
    }

    /// Returns whether a watching thread has to be started. The caller must hold the lock.
    bool begin_watch() {
      if (watched_ || stopped_ || limits_.most == 0)
        return false;
      watched_ = true;
      ++threads_;
      return true;
    }

    void exec_later(caf::resumable* job) override;
    caf::resumable* take_if_any();
    void start_watch();
    void watch();
    void grow(std::unique_lock<std::mutex>& guard);
    void help();
    void run(caf::resumable* job);
    void leave(std::unique_lock<std::mutex>& guard);
    bool start(void (coordinator_data::*body)());
    void end_reserve();
    bool held_up(std::uint64_t taken_before) const;
    void tell(std::unique_lock<std::mutex>& guard);
    std::size_t workers() const;
    std::uint64_t taken() const;

    caf::scheduler::abstract_coordinator* coordinator_;
    const reserve_limits limits_;
    sigset_t signals_{};
    mutable std::mutex mutex_;
    std::deque<caf::resumable*> jobs_;
    sleepers workers_;
    std::uint64_t taken_by_workers_ = 0;

    sleepers reserve_;
    std::uint64_t taken_by_reserve_ = 0;
    std::size_t helping_ = 0;
    /// The number of reserve threads and the watching thread, all of which need this object.
    std::size_t threads_ = 0;
    bool watched_ = false;
    bool stopped_ = false;
    clock::time_point told_;
    std::condition_variable stopping_;
    std::condition_variable ended_;
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

  /// Queues a job that has used up its turn.
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
