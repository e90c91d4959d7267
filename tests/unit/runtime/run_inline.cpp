#define CAF_SUITE run_inline

#include "runtime/run_inline.hpp"

#include <chrono>
#include <future>
#include <thread>

#include "actors/system_config.hpp"
#include "caf/actor_system.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/scoped_actor.hpp"
#include "caf/send.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;

namespace {

using thread_id = std::thread::id;

/// A system with its real scheduler, and an actor of it that has never run: it is idle
/// until its first message.
struct fixture {
  template <class Behavior>
  caf::actor idle(Behavior x) {
    return sys.spawn<caf::lazy_init>([x](caf::event_based_actor*) -> caf::behavior { return x; });
  }

  void give(const caf::actor& to, int what) {
    run_inline here{sys};
    to->enqueue(nullptr, caf::make_message_id(), caf::make_message(what), &here);
  }

  system_config cfg;
  caf::actor_system sys{cfg};
};

thread_id await(std::future<thread_id> x) {
  CAF_REQUIRE(x.wait_for(std::chrono::seconds{20}) == std::future_status::ready);
  return x.get();
}

} // namespace

CAF_TEST_FIXTURE_SCOPE(run_inline_tests, fixture)

CAF_TEST(an idle receiver handles a message in the thread that sent it) {
  thread_id ran;
  auto receiver = idle(caf::behavior{[&](int) { ran = std::this_thread::get_id(); }});
  give(receiver, 1);
  CAF_CHECK(ran == std::this_thread::get_id());
  ran = {};
  give(receiver, 2); // it is idle again
  CAF_CHECK(ran == std::this_thread::get_id());
}

CAF_TEST(whom the receiver sends to runs elsewhere) {
  std::promise<thread_id> ran;
  auto second = idle(caf::behavior{[&](int) { ran.set_value(std::this_thread::get_id()); }});
  auto first = idle(caf::behavior{[&](int x) { caf::anon_send(second, x); }});
  give(first, 1);
  CAF_CHECK(await(ran.get_future()) != std::this_thread::get_id());
}

// A crowd in its mailbox does not hold up who sends one message more.
CAF_TEST(a receiver that has more to do than a turn goes on elsewhere) {
  constexpr auto count = 1'000;
  std::promise<thread_id> ran;
  auto receiver = sys.spawn<caf::lazy_init>([&](caf::event_based_actor* self) -> caf::behavior {
    for (auto i = 0; i < count; ++i)
      self->send(self, i);
    return {[&](int i) {
      if (i == count - 1)
        ran.set_value(std::this_thread::get_id());
    }};
  });
  give(receiver, -1);
  CAF_CHECK(await(ran.get_future()) != std::this_thread::get_id());
}

CAF_TEST(a receiver that has ended takes nothing) {
  auto receiver = idle(caf::behavior{[](int) { CAF_FAIL("it has ended"); }});
  caf::anon_send_exit(receiver, caf::exit_reason::kill);
  caf::scoped_actor self{sys};
  self->wait_for(receiver);
  give(receiver, 1);
}

CAF_TEST_FIXTURE_SCOPE_END()
