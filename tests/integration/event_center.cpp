#define CAF_SUITE event_center

// An event center on a real RabbitMQ, through the faults of its daily life.

#include "actors/event_center.hpp"

#include <csignal>
#include <future>
#include <set>

#include <pthread.h>

#include "support/center_fixture.hpp"
#include "support/test_broker.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace actors::testing;
using namespace std::chrono_literals;

namespace {

subscription some_trades(const std::string& symbol) {
  return trades("it", symbol);
}

} // namespace

CAF_TEST(a late subscription works at once) {
  if (!test_broker::available())
    return;
  journal_fixture f;
  f.add("early", some_trades("A"));
  CAF_REQUIRE(f.seen->wait_for("early subscribed"));
  f.add("late", some_trades("B"));
  CAF_REQUIRE(f.seen->wait_for("late subscribed"));
  f.publish("B", 1);
  CAF_CHECK(f.seen->wait_for("late B 1"));
}

CAF_TEST(messages arrive in order and once) {
  if (!test_broker::available())
    return;
  journal_fixture f;
  f.add("one", some_trades("O").prefetch(100));
  CAF_REQUIRE(f.seen->wait_for("one subscribed"));
  std::vector<std::string> expected{"one subscribed"};
  for (auto i = 1; i <= 2'000; ++i) {
    f.publish("O", i);
    expected.push_back("one O " + std::to_string(i));
  }
  CAF_CHECK(f.seen->wait_for(expected.size()));
  CAF_CHECK(f.seen->lines() == expected);
}

namespace {

/// Asks the center from within its handler, waits for the answer, and then until it is
/// let go: nothing that a strategy should do.
caf::behavior blocking_strategy(caf::event_based_actor* self, event_center center,
                                std::shared_ptr<journal> seen, std::shared_future<void> let_go) {
  center.subscribe(self, some_trades("B")).then([=](const subscribed&) {
    seen->add("blocking subscribed");
  });
  return {
      [=](const trade&) {
        caf::scoped_actor here{self->system()};
        center.status(here).receive([&](const center_status&) { seen->add("blocks"); },
                                    [&](const caf::error& err) { seen->add(text_of(err)); });
        let_go.wait();
        seen->add("went on");
      },
  };
}

} // namespace

// It runs on the link's thread at first, so another must take the link over.
CAF_TEST(a strategy that blocks delays neither its link nor another strategy) {
  if (!test_broker::available())
    return;
  std::promise<void> let_go;
  journal_fixture f;
  f.add("s", some_trades("A"));
  f.strategies.push_back(
      f.sys.spawn(blocking_strategy, event_center{f.center}, f.seen, let_go.get_future().share()));
  CAF_REQUIRE(f.seen->wait_for(2));
  f.publish("B", 1);
  CAF_CHECK(f.seen->wait_for("blocks"));
  CAF_CHECK(f.comes_through("s", "A"));
  test_broker::ctl("close_all_connections 'a test closes them'");
  CAF_CHECK(f.comes_through("s", "A"));
  CAF_CHECK_EQUAL(f.seen->count("went on"), 0u);
  let_go.set_value();
  CAF_CHECK(f.seen->wait_for("went on"));
}

namespace {

/// Tells in which thread it runs, and whether a program that it starts would take signals.
caf::behavior observing_strategy(caf::event_based_actor* self, event_center center,
                                 std::shared_ptr<journal> seen) {
  center.subscribe(self, some_trades("T")).then([=](const subscribed&) {
    seen->add("subscribed");
  });
  return {
      [=](const trade&) {
        char name[16] = {};
        ::pthread_getname_np(::pthread_self(), name, sizeof name);
        sigset_t blocked;
        ::pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
        seen->add(
            std::string{name}
            + (::sigismember(&blocked, SIGTERM) != 0 ? " takes no signals" : " takes signals"));
      },
  };
}

/// What such a strategy sees of so many events that come one by one.
std::set<std::string> seen_of_threads(bool run_on_links) {
  constexpr std::size_t events = 50;
  system_config cfg;
  cfg.run_on_links(run_on_links);
  caf::actor_system sys{cfg};
  scoped_event_center center{sys, settings_for_tests()};
  const auto seen = std::make_shared<journal>();
  const auto strategy = sys.spawn(observing_strategy, event_center{center}, seen);
  CAF_REQUIRE(seen->wait_for("subscribed"));
  trade x;
  x.platform = "it";
  x.symbol = "T";
  for (std::size_t i = 1; i <= events; ++i) {
    center.publish(x);
    CAF_REQUIRE(seen->wait_for(i + 1));
  }
  caf::anon_send_exit(strategy, caf::exit_reason::user_shutdown);
  const auto lines = seen->lines();
  return {lines.begin() + 1, lines.end()};
}

} // namespace

CAF_TEST(a strategy runs on its link and starts programs that take signals) {
  if (!test_broker::available())
    return;
  const auto seen = seen_of_threads(true);
  CAF_CHECK(seen.contains("amqp-link takes signals"));
  for (auto& line : seen)
    CAF_CHECK(line.ends_with(" takes signals"));
}

CAF_TEST(with run_on_links off the scheduler runs all strategies) {
  if (!test_broker::available())
    return;
  for (auto& line : seen_of_threads(false))
    CAF_CHECK(!line.starts_with("amqp-link"));
}

CAF_TEST(closed connections come back with their subscriptions) {
  if (!test_broker::available())
    return;
  journal_fixture f;
  f.add("s", some_trades("C"));
  CAF_REQUIRE(f.seen->wait_for("s subscribed"));
  test_broker::ctl("close_all_connections 'a test closes them'");
  CAF_CHECK(f.comes_through("s", "C"));
  auto links = f.status().supervisor.links;
  CAF_REQUIRE_EQUAL(links.size(), 2u);
  CAF_CHECK_EQUAL(links[0].losses, 1u);
  CAF_CHECK_EQUAL(f.seen->count("s subscribed"), 1u);
}

CAF_TEST(a restarted broker gets the topology again and what was published meanwhile) {
  if (!test_broker::available())
    return;
  journal_fixture f;
  f.add("s", some_trades("R"));
  CAF_REQUIRE(f.seen->wait_for("s subscribed"));
  test_broker::kill();
  test_broker::restart();
  CAF_CHECK(f.comes_through("s", "R"));
}

CAF_TEST(a deleted queue comes back) {
  if (!test_broker::available())
    return;
  journal_fixture f;
  const auto queue = unique_name("deleted");
  f.add("s", some_trades("D").on_queue(queue));
  CAF_REQUIRE(f.seen->wait_for("s subscribed"));
  test_broker::ctl("delete_queue " + queue);
  CAF_CHECK(f.comes_through("s", "D"));
}

// An older fleet declared the exchange as fanout: each queue gets everything.
CAF_TEST(a fanout exchange is used as it is and filtered by key) {
  if (!test_broker::available())
    return;
  const auto vhost = unique_name("fanout");
  test_broker::ctl("add_vhost " + vhost);
  test_broker::ctl("set_permissions -p " + vhost + " guest '.*' '.*' '.*'");
  test_broker::ctl("eval 'rabbit_exchange:declare(rabbit_misc:r(<<\"" + vhost
                   + "\">>, exchange, <<\"Trade\">>), fanout, false, false, false, [], "
                     "<<\"test\">>).'");
  auto settings = settings_for_tests();
  settings.endpoints[0].vhost = vhost;
  {
    actors::system_config cfg;
    caf::actor_system sys{cfg};
    scoped_event_center center{sys, settings};
    auto seen = std::make_shared<journal>();
    auto one = sys.spawn(journal_strategy, event_center{center}, some_trades("X"), seen, "one");
    auto all = sys.spawn(journal_strategy, event_center{center}, trades("it", "#").multi(false),
                         seen, "all");
    CAF_REQUIRE(seen->wait_for("one subscribed"));
    CAF_REQUIRE(seen->wait_for("all subscribed"));
    for (auto symbol : {"X", "Y"}) {
      trade x;
      x.platform = "it";
      x.symbol = symbol;
      center.publish(x);
    }
    CAF_CHECK(seen->wait_for("one X 0"));
    CAF_CHECK(seen->wait_for("all X 0"));
    CAF_CHECK(seen->wait_for("all Y 0"));
    CAF_CHECK_EQUAL(seen->count("one Y 0"), 0u);
    for (auto& x : {one, all})
      caf::anon_send_exit(x, caf::exit_reason::user_shutdown);
  }
  test_broker::ctl("delete_vhost " + vhost);
}

CAF_TEST(a thousand subscriptions are replayed) {
  if (!test_broker::available())
    return;
  journal_fixture f;
  for (auto i = 0; i < 1'000; ++i)
    f.add("s" + std::to_string(i), some_trades("T" + std::to_string(i)));
  CAF_REQUIRE(f.seen->wait_for(1'000));
  test_broker::ctl("close_all_connections 'a test closes them'");
  for (auto i : {0, 500, 999})
    CAF_CHECK(f.comes_through("s" + std::to_string(i), "T" + std::to_string(i)));
  const auto status = f.status();
  CAF_CHECK_EQUAL(status.dispatcher.handlers.size(), 1'000u);
  CAF_CHECK(status.supervisor.refused.empty());
}

CAF_TEST(stopping closes the links in good order and leaves no queue) {
  if (!test_broker::available())
    return;
  journal_fixture f;
  f.add("s", some_trades("E"));
  CAF_REQUIRE(f.seen->wait_for("s subscribed"));
  const auto begin = std::chrono::steady_clock::now();
  CAF_CHECK_EQUAL(f.center.stop(), 0u);
  CAF_CHECK(std::chrono::steady_clock::now() - begin < 1s);
}
