#define CAF_SUITE link_run_queue

#include "runtime/link_run_queue.hpp"

#include <chrono>
#include <future>
#include <thread>
#include <vector>

#include "actors/system_config.hpp"
#include "caf/actor_system.hpp"
#include "caf/blocking_actor.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/send.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace std::chrono_literals;

namespace {

/// A system with its real scheduler, and a link's thread, which is the test's.
struct fixture {
  /// An actor that has never run: it is idle until its first message.
  template <class Behavior>
  caf::actor idle(Behavior x) {
    return sys.spawn<caf::lazy_init>([x](caf::event_based_actor*) -> caf::behavior { return x; });
  }

  /// One that says where it ran.
  caf::actor witness(std::promise<std::thread::id>& ran) {
    return idle(caf::behavior{[&](int) { ran.set_value(std::this_thread::get_id()); }});
  }

  caf::actor slow() {
    return idle(caf::behavior{[](int) { std::this_thread::sleep_for(100ms); }});
  }

  /// Somebody who runs at once, and sends to others whom that wakes.
  caf::actor dispatcher(std::vector<caf::actor> to) {
    return sys.spawn<caf::lazy_init>([to](caf::event_based_actor* self) -> caf::behavior {
      return {[=](int x) {
        for (auto& who : to)
          self->send(who, x);
      }};
    });
  }

  void wake(const caf::actor& who) {
    wake(who, sut);
  }

  void wake(const caf::actor& who, link_run_queue& by) {
    by.give(dispatcher({who}), caf::make_message(1));
  }

  void run() {
    sut.begin();
    sut.run();
  }

  std::promise<std::thread::id> first;
  std::promise<std::thread::id> second;
  system_config cfg;
  caf::actor_system sys{cfg};
  link_run_queue sut{sys, 20s}; // whoever is not slow is quick, on a busy machine too
};

std::thread::id where(std::promise<std::thread::id>& ran) {
  auto result = ran.get_future();
  CAF_REQUIRE(result.wait_for(20s) == std::future_status::ready);
  return result.get();
}

} // namespace

CAF_TEST_FIXTURE_SCOPE(link_run_queue_tests, fixture)

CAF_TEST(whom a link has woken runs in its thread) {
  CAF_CHECK(!sut.waiting());
  wake(witness(first));
  CAF_CHECK(sut.waiting());
  run();
  CAF_CHECK(!sut.waiting());
  CAF_CHECK(where(first) == std::this_thread::get_id());
}

CAF_TEST(so does whom they wake) {
  wake(sys.spawn<caf::lazy_init>(
      [last = witness(first)](caf::event_based_actor* self) -> caf::behavior {
        return {[=](int x) { self->send(last, x); }};
      }));
  run();
  CAF_CHECK(where(first) == std::this_thread::get_id());
}

CAF_TEST(who is passed on runs elsewhere) {
  wake(witness(first));
  sut.pass_on();
  CAF_CHECK(!sut.waiting());
  CAF_CHECK(where(first) != std::this_thread::get_id());
}

CAF_TEST(who is still waiting at the end is passed on) {
  {
    link_run_queue ended{sys};
    wake(witness(first), ended);
  }
  CAF_CHECK(where(first) != std::this_thread::get_id());
}

CAF_TEST(nobody waits behind one that is slow) {
  link_run_queue link{sys};
  wake(slow(), link);
  wake(witness(first), link);
  link.begin();
  link.run();
  CAF_CHECK(where(first) != std::this_thread::get_id());
}

CAF_TEST(after two runs that were slow all run elsewhere for a time) {
  link_run_queue link{sys};
  for (auto i = 0; i < 2; ++i) {
    wake(slow(), link);
    CAF_REQUIRE(link.waiting());
    link.begin();
    link.run();
  }
  wake(witness(first), link);
  CAF_CHECK(!link.waiting());
  CAF_CHECK(where(first) != std::this_thread::get_id());
}

CAF_TEST(a thread that had no core is not slow) {
  const thread_usage then{1ms, 7};
  CAF_CHECK(!was_slow(then, {1050us, 7}, 100us));
  CAF_CHECK(was_slow(then, {1200us, 7}, 100us));
  CAF_CHECK(was_slow(then, {1050us, 8}, 100us));
}

CAF_TEST(what a thread uses grows as it computes and sleeps) {
  const auto before = thread_usage::now();
  std::this_thread::sleep_for(1ms);
  auto now = thread_usage::now();
  CAF_CHECK(now.sleeps > before.sleeps);
  while (now.computing == before.computing)
    now = thread_usage::now();
  CAF_CHECK(now.computing > before.computing);
}

// It is somebody else's thread by then that passes them on.
CAF_TEST(one that blocks holds up nobody once it is given up) {
  std::promise<void> blocks;
  std::promise<void> go_on;
  auto behind = witness(first);
  auto needed = witness(second);
  auto ran = second.get_future();
  wake(sys.spawn<caf::lazy_init>([&](caf::event_based_actor* self) -> caf::behavior {
    return {[&, self, needed](int x) {
      blocks.set_value();
      go_on.get_future().wait();
      self->send(needed, x);
      ran.wait();
    }};
  }));
  wake(behind);
  auto link = std::async(std::launch::async, [this] { run(); });
  blocks.get_future().wait();
  sut.pass_on();
  where(first);
  go_on.set_value();
  CAF_REQUIRE(link.wait_for(20s) == std::future_status::ready);
}

// It has been given up before it came to run anybody.
CAF_TEST(who is given up between leaving and running holds up nobody) {
  sut.begin();
  sut.pass_on();
  wake(witness(first));
  CAF_CHECK(!sut.waiting());
  CAF_CHECK(where(first) != std::this_thread::get_id());
  sut.run();
  wake(witness(second));
  CAF_CHECK(sut.waiting());
}

// A blocking actor keeps what its parent was run by, for its life.
CAF_TEST(what a woken actor has spawned outlives the link) {
  std::promise<void> ended;
  auto end = ended.get_future().share();
  auto needed = witness(first);
  {
    link_run_queue link{sys};
    wake(sys.spawn<caf::lazy_init>([=](caf::event_based_actor* self) -> caf::behavior {
      return {[=](int x) {
        self->spawn([=](caf::blocking_actor* child) {
          end.wait();
          child->send(needed, x);
        });
      }};
    }),
         link);
    link.begin();
    link.run();
    CAF_CHECK(!link.waiting());
  }
  ended.set_value();
  where(first);
}

CAF_TEST_FIXTURE_SCOPE_END()
