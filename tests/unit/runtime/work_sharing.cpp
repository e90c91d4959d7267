#define CAF_SUITE work_sharing

#include "runtime/work_sharing.hpp"

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <pthread.h>

#include "actors/logging.hpp"
#include "actors/system_config.hpp"
#include "caf/actor_system.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/scheduler/abstract_coordinator.hpp"
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
  /// Nobody takes what is told apart.
  work_sharing::coordinator_data queue{nullptr, {.most = 0}};
  std::vector<null_job> jobs{8};
};

/// A job of a function, as an actor's turn is one; of no function, one that ends a worker.
struct task : null_job {
  explicit task(std::function<void()> x) : run(std::move(x)) {
    // nop
  }

  resume_result resume(caf::execution_unit*, std::size_t) override {
    if (!run)
      return caf::resumable::shutdown_execution_unit;
    run();
    ran.set_value();
    return caf::resumable::done;
  }

  subtype_t subtype() const override {
    return run ? kind : caf::resumable::unspecified;
  }

  bool has_run() {
    return ended.wait_for(60s) == std::future_status::ready;
  }

  std::function<void()> run;
  subtype_t kind = caf::resumable::function_object;
  std::promise<void> ran;
  std::future<void> ended = ran.get_future();
};

/// Blocks whoever runs it until the test lets it go.
struct blocking_task : task {
  explicit blocking_task(std::shared_future<void> until)
      : task([this, until] {
          blocks.set_value();
          until.wait();
        }) {
    // nop
  }

  bool is_blocking() {
    return blocking.wait_for(60s) == std::future_status::ready;
  }

  std::promise<void> blocks;
  std::future<void> blocking = blocks.get_future();
};

/// Whether it comes to that.
template <class Condition>
bool comes(Condition x) {
  auto deadline = std::chrono::steady_clock::now() + 60s;
  while (!x()) {
    if (std::chrono::steady_clock::now() > deadline)
      return false;
    std::this_thread::yield();
  }
  return true;
}

/// A worker of a queue.
void work(work_sharing::coordinator_data& queue) {
  while (queue.pop()->resume(nullptr, 0) != caf::resumable::shutdown_execution_unit)
    ;
}

/// A queue with a worker, and a reserve that is asked no more than once whether it is needed.
struct reserve_fixture {
  /// The worker is there before the first job, which the reserve would take otherwise.
  reserve_fixture() {
    CAF_REQUIRE(comes([this] { return queue.count().idle_workers == 1; }));
  }

  ~reserve_fixture() {
    go_on();
    queue.push(&end);
    worker.join();
  }

  void go_on() {
    if (std::exchange(held, false))
      let_go.set_value();
  }

  /// A job, which lives longer than whoever may have run it.
  task& make(std::function<void()> run = [] {}) {
    tasks.push_back(std::make_unique<task>(std::move(run)));
    return *tasks.back();
  }

  task& push(std::function<void()> run = [] {}) {
    auto& result = make(std::move(run));
    queue.push(&result);
    return result;
  }

  blocking_task& make_blocking() {
    blocked.push_back(std::make_unique<blocking_task>(gone));
    return *blocked.back();
  }

  blocking_task& block() {
    auto& result = make_blocking();
    queue.push(&result);
    return result;
  }

  bool held = true;
  std::promise<void> let_go;
  std::shared_future<void> gone = let_go.get_future().share();
  std::vector<std::unique_ptr<task>> tasks;
  std::vector<std::unique_ptr<blocking_task>> blocked;
  task end{nullptr};
  work_sharing::coordinator_data queue{nullptr, {.look = 1ms, .stay = 1h}};
  std::thread worker{[this] { work(queue); }};
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

CAF_TEST_FIXTURE_SCOPE(reserve_tests, reserve_fixture)

CAF_TEST(a job runs though all workers block) {
  CAF_REQUIRE(block().is_blocking());
  CAF_CHECK(push().has_run());
}

CAF_TEST(however many jobs block) {
  for (auto i = 0; i < 20; ++i)
    block();
  CAF_CHECK(push().has_run());
  for (auto& x : blocked)
    CAF_CHECK(x->is_blocking());
}

CAF_TEST(the log tells when no more threads may help) {
  close_log(); // every line is new
  auto path = std::filesystem::temp_directory_path()
              / ("actors-reserve-" + std::to_string(std::random_device{}()));
  log_config log;
  log.console = false;
  log.path = path.string();
  log.name = "log";
  open_log(log);
  {
    work_sharing::coordinator_data small{nullptr, {.look = 1ms, .stay = 1h, .most = 2}};
    for (auto i = 0; i < 8; ++i)
      small.push(&make_blocking());
    CAF_CHECK(comes([&] {
      std::ifstream in{path / "log"};
      std::string text{std::istreambuf_iterator<char>{in}, {}};
      return text.find("workers of the scheduler are held up by handlers that block: reserve "
                       "threads, 2 now")
             != std::string::npos;
    }));
    CAF_CHECK_EQUAL(small.count().reserve, 3u); // one watches
    go_on();
    for (auto& x : blocked)
      CAF_CHECK(x->has_run());
  }
  close_log();
  std::filesystem::remove_all(path);
}

CAF_TEST(where a worker sleeps there is no thread beside it) {
  for (auto i = 0; i < 100; ++i) {
    CAF_REQUIRE(comes([&] { return queue.count().idle_workers == 1; }));
    CAF_CHECK(push().has_run());
    CAF_CHECK_EQUAL(queue.count().reserve, 0u);
  }
}

CAF_TEST(a worker that is free goes before the reserve) {
  CAF_REQUIRE(block().is_blocking());
  CAF_REQUIRE(push().has_run());
  go_on();
  CAF_REQUIRE(comes([&] {
    auto now = queue.count();
    return now.idle_workers == 1 && now.idle_reserve + 1 == now.reserve; // one watches
  }));
  std::thread::id by;
  CAF_CHECK(push([&] { by = std::this_thread::get_id(); }).has_run());
  CAF_CHECK(by == worker.get_id());
}

// Those who are not needed any longer end by themselves.
CAF_TEST(the reserve goes when workers are free) {
  work_sharing::coordinator_data brief{nullptr, {.look = 1ms, .stay = 10ms}};
  auto& runs = make();
  brief.push(&runs);
  CAF_REQUIRE(runs.has_run());
  CAF_CHECK(brief.count().reserve > 0);
  std::thread free{[&] { work(brief); }};
  CAF_CHECK(comes([&] { return brief.count().reserve == 0; }));
  brief.push(&end);
  free.join();
}

// Its hour is not over.
CAF_TEST(a reserve that is idle is not waited for at the end) {
  CAF_REQUIRE(block().is_blocking());
  CAF_REQUIRE(push().has_run());
  CAF_CHECK(queue.count().reserve > 0);
  auto drained = std::async(std::launch::async, [&] { queue.drain([](caf::resumable*) {}); });
  CAF_CHECK(drained.wait_for(60s) == std::future_status::ready);
  CAF_CHECK_EQUAL(queue.count().reserve, 0u);
}

// CAF counts the workers that such jobs have ended.
CAF_TEST(a job that ends a worker is left to one) {
  work_sharing::coordinator_data one{nullptr, {.look = 1ms, .stay = 1h, .most = 1}};
  auto& first = make();
  one.push(&first);
  CAF_REQUIRE(first.has_run());
  std::atomic<bool> taken{false};
  std::thread::id by;
  auto& like_it = make([&] {
    by = std::this_thread::get_id();
    taken = true;
  });
  like_it.kind = caf::resumable::unspecified;
  one.push(&like_it);
  // Whoever helps goes when it finds that; then there is only the one who watches.
  CAF_CHECK(comes([&] { return taken || one.count().reserve == 1; }));
  std::thread late{[&] { work(one); }};
  CAF_CHECK(like_it.has_run());
  CAF_CHECK(by == late.get_id());
  one.push(&end);
  late.join();
}

// A link's thread takes no signals, but a strategy and the programs that it starts do.
CAF_TEST(a reserve takes the signals that workers take) {
  sigset_t own;
  sigemptyset(&own);
  sigaddset(&own, SIGUSR2);
  sigset_t before;
  pthread_sigmask(SIG_SETMASK, &own, &before);
  work_sharing::coordinator_data other{nullptr, {.look = 1ms, .stay = 1h}};
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, nullptr);
  sigset_t found{};
  auto& asks = make([&] { pthread_sigmask(SIG_SETMASK, nullptr, &found); });
  other.push(&asks);
  CAF_CHECK(asks.has_run());
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  CAF_CHECK(sigismember(&found, SIGUSR2) == 1);
  CAF_CHECK(sigismember(&found, SIGTERM) == 0);
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

CAF_TEST(strategies that block hold up nobody else) {
  std::promise<void> let_go;
  auto gone = let_go.get_future().share();
  std::atomic<std::size_t> blocking{0};
  system_config cfg;
  caf::actor_system sys{cfg};
  caf::scoped_actor self{sys};
  auto healthy = sys.spawn([]() -> caf::behavior { return {[](int x) { return x; }}; });
  const auto many = 2 * sys.scheduler().num_workers() + 1;
  for (std::size_t i = 0; i < many; ++i)
    self->send(sys.spawn([&, gone]() -> caf::behavior {
      return {[&, gone](caf::unit_t) {
        ++blocking;
        gone.wait();
      }};
    }),
               caf::unit);
  for (auto i = 0; i < 100; ++i)
    self->request(healthy, 60s, i)
        .receive([&](int x) { CAF_CHECK_EQUAL(x, i); },
                 [](const caf::error&) { CAF_ERROR("it is held up"); });
  CAF_CHECK(comes([&] { return blocking == many; }));
  let_go.set_value();
}
