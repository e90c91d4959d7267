#define CAF_SUITE woken_actors

#include "woken_actors.hpp"

#include <chrono>
#include <future>
#include <thread>

#include "actors/system_config.hpp"

#include "caf/actor_system.hpp"
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

  void wake(const caf::actor& who) {
    who->enqueue(nullptr, caf::make_message_id(), caf::make_message(1), &sut);
  }

  system_config cfg;
  caf::actor_system sys{cfg};
  woken_actors sut{sys};
  std::promise<std::thread::id> first;
  std::promise<std::thread::id> second;
};

std::thread::id where(std::promise<std::thread::id>& ran) {
  auto result = ran.get_future();
  CAF_REQUIRE(result.wait_for(20s) == std::future_status::ready);
  return result.get();
}

} // namespace

CAF_TEST_FIXTURE_SCOPE(woken_actors_tests, fixture)

CAF_TEST(whom a link has woken runs in its thread) {
  CAF_CHECK(!sut.waiting());
  wake(witness(first));
  CAF_CHECK(sut.waiting());
  sut.run();
  CAF_CHECK(!sut.waiting());
  CAF_CHECK(where(first) == std::this_thread::get_id());
}

CAF_TEST(so does whom they wake) {
  wake(sys.spawn<caf::lazy_init>(
      [last = witness(first)](caf::event_based_actor* self) -> caf::behavior {
        return {[=](int x) { self->send(last, x); }};
      }));
  sut.run();
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
    woken_actors ended{sys};
    witness(first)->enqueue(nullptr, caf::make_message_id(), caf::make_message(1), &ended);
  }
  CAF_CHECK(where(first) != std::this_thread::get_id());
}

CAF_TEST(nobody waits behind one that is slow) {
  wake(slow());
  wake(witness(first));
  sut.run();
  CAF_CHECK(where(first) != std::this_thread::get_id());
}

CAF_TEST(after one that is slow all run elsewhere for a time) {
  wake(slow());
  sut.run();
  wake(witness(first));
  CAF_CHECK(!sut.waiting());
  CAF_CHECK(where(first) != std::this_thread::get_id());
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
  auto link = std::async(std::launch::async, [this] { sut.run(); });
  blocks.get_future().wait();
  sut.pass_on();
  where(first);
  go_on.set_value();
  CAF_REQUIRE(link.wait_for(20s) == std::future_status::ready);
}

CAF_TEST_FIXTURE_SCOPE_END()
