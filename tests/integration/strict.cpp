#define CAF_SUITE strict

// A broker that allows little (tests/support/strict.conf): transient queues are denied, a
// channel has few consumers, a connection few channels, messages are small.

#include "support/center_fixture.hpp"

using namespace actors;
using namespace actors::testing;
using namespace std::chrono_literals;

CAF_TEST(default queues work where transient ones are denied) {
  if (!test_broker::strict_is_available())
    return;
  journal_fixture f;
  f.add("default", trades("it", "D"));
  f.add("all", trades("it", "#"));
  CAF_CHECK(f.seen->wait_for("default subscribed"));
  CAF_CHECK(f.seen->wait_for("all subscribed"));
  CAF_CHECK(f.comes_through("default", "D"));
  CAF_CHECK(f.comes_through("all", "E"));
}

CAF_TEST(there are more consumers than a channel may have) {
  if (!test_broker::strict_is_available())
    return;
  journal_fixture f;
  const auto count = 7;
  const auto queue = unique_name("queue");
  for (auto i = 0; i < count; ++i) {
    const auto symbol = "S" + std::to_string(i);
    f.add(symbol, trades("it", symbol).on_durable_queue(queue + symbol));
  }
  for (auto i = 0; i < count; ++i) {
    const auto symbol = "S" + std::to_string(i);
    CAF_CHECK(f.seen->wait_for(symbol + " subscribed"));
    CAF_CHECK(f.comes_through(symbol, symbol));
  }
  CAF_CHECK(f.link(link_role::consuming).losses <= 2);
}

CAF_TEST(a message that is too large is refused to its publisher alone) {
  if (!test_broker::strict_is_available())
    return;
  journal_fixture f;
  f.add("s", trades("it", "L").on_durable_queue(unique_name("large")));
  CAF_REQUIRE(f.seen->wait_for("s subscribed"));
  event large;
  large.name = "EVENT_LARGE";
  large.exchange = "Large";
  large.routing_key = "a.b";
  // What does not compress to less than the limit.
  std::string text = "\"";
  std::uint64_t random = 1;
  while (text.size() < 400'000) {
    random = random * 6'364'136'223'846'793'005U + 1'442'695'040'888'963'407U;
    text += static_cast<char>('A' + (random >> 60));
  }
  large.data = *json::parse(text + '"');
  caf::scoped_actor self{f.sys};
  auto answer = f.center.publish(self, large);
  for (std::int64_t i = 1; i <= 200; ++i)
    f.publish("L", i);
  auto refused = false;
  answer.receive([](const published&) {}, [&](const caf::error&) { refused = true; });
  CAF_CHECK(refused);
  for (std::int64_t i = 1; i <= 200; ++i)
    CAF_CHECK(f.seen->wait_for("s L " + std::to_string(i)));
  CAF_CHECK(f.status().supervisor.outbox.rejected <= 1);
}
