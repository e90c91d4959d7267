#define CAF_SUITE amqp.leader_follower

#include "runtime/leader_follower.hpp"

#include <chrono>
#include <future>
#include <thread>

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace std::chrono_literals;

namespace {

/// A thread that follows, once: whether it came to lead.
struct follower {
  explicit follower(leader_follower& lead)
      : leads(std::async(std::launch::async, [&lead] { return lead.follow(); })) {
    // nop
  }

  std::future<bool> leads;
};

/// As soon as somebody follows.
void leave(leader_follower& lead) {
  while (!lead.followed())
    std::this_thread::yield();
  lead.leave();
}

} // namespace

CAF_TEST(nobody follows at first) {
  leader_follower lead{1h};
  CAF_CHECK(!lead.followed());
}

CAF_TEST(a leader that is soon back leads on) {
  leader_follower lead{1h};
  follower second{lead};
  for (auto i = 0; i < 3; ++i) {
    leave(lead);
    CAF_CHECK(lead.come_back());
  }
  lead.end();
  CAF_CHECK(!second.leads.get());
}

CAF_TEST(a leader that is long away is replaced and follows) {
  leader_follower lead{1ms};
  follower second{lead};
  leave(lead);
  CAF_CHECK(second.leads.get());
  CAF_CHECK(!lead.followed()); // the first one does not yet
  CAF_CHECK(!lead.come_back());
  // The second one, now the leader, goes away in turn.
  std::promise<void> led;
  auto again = std::async(std::launch::async, [&lead, back = led.get_future()] {
    leave(lead);
    back.wait();
    return lead.come_back();
  });
  CAF_CHECK(lead.follow());
  led.set_value();
  CAF_CHECK(!again.get());
}

CAF_TEST(a leader that leaves often is replaced when it stays away) {
  leader_follower lead{5ms};
  follower second{lead};
  leave(lead);
  // However busy the machine is, the leader is replaced now or is back in time.
  for (auto i = 0; i < 100 && lead.come_back(); ++i)
    lead.leave();
  CAF_CHECK(second.leads.get());
}

CAF_TEST(who is away at the end is known) {
  leader_follower lead{1ms};
  follower second{lead};
  leave(lead);
  CAF_CHECK(second.leads.get());
  lead.end();
  CAF_CHECK(lead.await_end() == std::this_thread::get_id());
  CAF_CHECK(!lead.come_back());
  CAF_CHECK(!lead.follow());
  CAF_CHECK(lead.await_end() == std::thread::id{});
}
