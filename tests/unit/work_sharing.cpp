#define CAF_SUITE work_sharing

#include "work_sharing.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <future>
#include <thread>
#include <vector>

#include "actors/system_config.hpp"

#include "caf/actor_system.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/scoped_actor.hpp"
#include "caf/send.hpp"
#include "caf/test/dsl.hpp"

using namespace actors;
using namespace std::chrono_literals;

namespace {

/// Never run here, only told apart.
struct null_job : caf::resumable {
  resume_result resume(caf::execution_unit*, std::size_t) override {
    return caf::resumable::done;
  }
  void intrusive_ptr_add_ref_impl() override {
    // nop
  }
  void intrusive_ptr_release_impl() override {
    // nop
  }
};

struct fixture {
  work_sharing::coordinator_data queue{nullptr};
  std::vector<null_job> jobs{8};
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(work_sharing_tests, fixture)

CAF_TEST(jobs_come_in_their_order) {
  for (auto& x : jobs)
    queue.push(&x);
  for (auto& x : jobs)
    CAF_CHECK(queue.pop() == &x);
}

CAF_TEST(what_no_worker_has_run_is_given_back) {
  queue.push(&jobs[0]);
  queue.push(&jobs[1]);
  std::vector<caf::resumable*> rest;
  queue.drain([&](caf::resumable* x) { rest.push_back(x); });
  CAF_CHECK(rest == std::vector<caf::resumable*>({&jobs[0], &jobs[1]}));
}

CAF_TEST(no_sleeping_worker_is_forgotten) {
  // Every job wakes a worker that answers it before the next one comes, so that one
  // wake-up too few stops the test.
  constexpr auto rounds = 20'000;
  std::atomic<int> taken{0};
  std::vector<std::thread> workers;
  for (auto i = 0; i < 3; ++i)
    workers.emplace_back([&] {
      while (queue.pop() != &jobs[7])
        ++taken;
    });
  auto deadline = std::chrono::steady_clock::now() + 60s;
  for (auto i = 0; i < rounds && std::chrono::steady_clock::now() < deadline; ++i) {
    queue.push(&jobs[i % 3]);
    while (i % 4 == 3 && taken <= i && std::chrono::steady_clock::now() < deadline)
      std::this_thread::yield();
  }
  for (std::size_t i = 0; i < workers.size(); ++i)
    queue.push(&jobs[7]);
  for (auto& x : workers)
    x.join();
  CAF_CHECK_EQUAL(taken.load(), rounds);
}

CAF_TEST_FIXTURE_SCOPE_END()

CAF_TEST(all_workers_of_a_system_run_actors) {
  // Each waits for the other within a message: that takes two workers.
  system_config cfg;
  caf::actor_system sys{cfg};
  caf::scoped_actor self{sys};
  std::promise<void> arrived[2];
  auto met = [](std::promise<void>& mine, std::promise<void>& other) {
    mine.set_value();
    return other.get_future().wait_for(60s) == std::future_status::ready;
  };
  for (auto i : {0, 1}) {
    auto one = sys.spawn([&, i]() -> caf::behavior {
      return {[&, i](caf::unit_t) { return met(arrived[i], arrived[1 - i]); }};
    });
    self->send(one, caf::unit);
  }
  for (auto i = 0; i < 2; ++i)
    self->receive([](bool x) { CAF_CHECK(x); },
                  caf::after(120s) >> [] { CAF_FAIL("a worker is missing"); });
}
