#define CAF_SUITE strict

// A broker that allows little (tests/support/strict.conf): transient queues are denied, a
// channel has few consumers, a connection few channels, messages and frames are small.

#include "support/broker_account.hpp"
#include "support/chaos_proxy.hpp"

using namespace actors;
using namespace actors::testing;
using namespace std::chrono_literals;

namespace {

/// An event of this size, more or less, that does not become smaller when it is compressed.
event event_of_size(std::size_t size) {
  event result;
  result.name = "EVENT_LARGE";
  result.exchange = "Large";
  result.routing_key = "a.b";
  boost::json::string text;
  std::uint64_t random = 1;
  while (text.size() < 2 * size) { // of four bits a letter
    random = random * 6'364'136'223'846'793'005U + 1'442'695'040'888'963'407U;
    text += static_cast<char>('A' + (random >> 60));
  }
  result.data = json{std::move(text)};
  return result;
}

/// Writes a hash of what comes into the journal.
caf::behavior large_strategy(caf::event_based_actor* self, const event_center& center,
                             const std::shared_ptr<journal>& seen) {
  center
      .subscribe(self, subscription::to_events("Large", "#").on_durable_queue(unique_name("large")))
      .then([=](const subscribed&) { seen->add("large subscribed"); });
  return {[=](const event& x) {
    seen->add("large " + std::to_string(std::hash<std::string_view>{}(x.data.text())));
  }};
}

std::size_t count_of(const std::string& text, const std::string& in) {
  std::size_t result = 0;
  for (auto at = in.find(text); at != std::string::npos; at = in.find(text, at + 1))
    ++result;
  return result;
}

} // namespace

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
  caf::scoped_actor self{f.sys};
  auto answer = f.center.publish(self, event_of_size(200'000));
  for (std::int64_t i = 1; i <= 200; ++i)
    f.publish("L", i);
  auto refused = false;
  answer.receive([](const published&) {}, [&](const caf::error&) { refused = true; });
  CAF_CHECK(refused);
  for (std::int64_t i = 1; i <= 200; ++i)
    CAF_CHECK(f.seen->wait_for("s L " + std::to_string(i)));
  CAF_CHECK(f.status().supervisor.outbox.rejected <= 1);
}

CAF_TEST(a message is put together from small frames) {
  if (!test_broker::strict_is_available())
    return;
  journal_fixture f;
  f.strategies.push_back(f.sys.spawn(large_strategy, event_center{f.center}, f.seen));
  CAF_REQUIRE(f.seen->wait_for("large subscribed"));
  const auto x = event_of_size(80'000);
  f.center.publish(x);
  CAF_CHECK(
      f.seen->wait_for("large " + std::to_string(std::hash<std::string_view>{}(x.data.text()))));
  CAF_CHECK_EQUAL(f.link(link_role::publishing).losses, 0u);
  CAF_CHECK_EQUAL(f.link(link_role::consuming).losses, 0u);
}

CAF_TEST(queues work in a vhost where they are quorum queues by default) {
  if (!test_broker::strict_is_available())
    return;
  const auto vhost = unique_name("quorum");
  test_broker::ctl("add_vhost " + vhost + " --default-queue-type quorum");
  test_broker::ctl("set_permissions -p " + vhost + " guest '.*' '.*' '.*'");
  auto settings = settings_for_tests();
  settings.endpoints[0].vhost = vhost;
  {
    journal_fixture f{settings};
    f.add("default", trades("it", "D"));
    f.add("multi", trades("it", "M").multi());
    f.add("exclusive", trades("it", "E").on_queue(""));
    f.add("kept", trades("it", "K").on_durable_queue("kept").acked(ack_policy::on_success));
    f.add("retried",
          trades("it", "R").on_durable_queue("retried").single_active_consumer().retried());
    for (std::string name : {"default", "multi", "exclusive", "kept", "retried"}) {
      CAF_CHECK(f.seen->wait_for(name + " subscribed"));
      CAF_CHECK(f.comes_through(name, {static_cast<char>(name[0] - 'a' + 'A')}));
    }
  }
  test_broker::ctl("delete_vhost " + vhost);
}

// It does so for two heartbeats, which are 20 s. What a queue that is ours alone has would be
// locked for as long.
CAF_TEST(a former link that the broker takes to be alive locks nobody out) {
  if (!test_broker::strict_is_available())
    return;
  chaos_proxy proxy{test_broker::url()};
  const auto settings = settings_for_tests(proxy.url());
  journal_fixture f{settings};
  f.add("s", trades("it", "H"));
  f.add("all", trades("it", "#"));
  f.add("exclusive", trades("it", "X").on_queue(""));
  for (auto name : {"s", "all", "exclusive"})
    CAF_REQUIRE(f.seen->wait_for(std::string{name} + " subscribed"));
  const auto losses = f.link(link_role::consuming).losses;
  proxy.tell("strand consuming");
  CAF_CHECK(eventually([&] { return f.link(link_role::consuming).losses == losses + 1; }));
  CAF_CHECK(f.comes_through("s", "H"));
  CAF_CHECK(f.comes_through("all", "A"));
  CAF_CHECK(f.comes_through("exclusive", "X"));
  const auto connections = test_broker::folder().ask_ctl("list_connections client_properties");
  CAF_CHECK_EQUAL(count_of(settings.server_id + " consuming", connections), 2u);
}
