#define CAF_SUITE event_center

// An event center on a real RabbitMQ, through the faults of its daily life.

#include "actors/event_center.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "actors/error.hpp"
#include "actors/system_config.hpp"
#include "support/test_broker.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace actors::testing;
using namespace std::chrono_literals;

namespace {

constexpr auto patience = 60s;

/// What the strategies of a test have seen, for the test's thread to wait on.
class journal {
public:
  void add(std::string line) {
    std::unique_lock guard{mutex_};
    lines_.push_back(std::move(line));
    changed_.notify_all();
  }

  /// Whether at least this many lines come within the tests' patience.
  bool wait_for(std::size_t count) {
    std::unique_lock guard{mutex_};
    return changed_.wait_for(guard, patience, [&] { return lines_.size() >= count; });
  }

  bool wait_for(const std::string& line, std::chrono::milliseconds limit = patience) {
    std::unique_lock guard{mutex_};
    return changed_.wait_for(guard, limit, [&] {
      return std::find(lines_.begin(), lines_.end(), line) != lines_.end();
    });
  }

  std::size_t count(const std::string& line) {
    std::unique_lock guard{mutex_};
    return static_cast<std::size_t>(std::count(lines_.begin(), lines_.end(), line));
  }

  std::vector<std::string> lines() {
    std::unique_lock guard{mutex_};
    return lines_;
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> lines_;
};

caf::behavior strategy(caf::event_based_actor* self, event_center center, subscription what,
                       std::shared_ptr<journal> seen, std::string name) {
  center.subscribe(self, std::move(what))
      .then([=](const subscribed&) { seen->add(name + " subscribed"); },
            [=](const caf::error& err) { seen->add(name + " refused: " + text_of(err)); });
  return {
      [=](const trade& x) { seen->add(name + ' ' + x.symbol + ' ' + std::to_string(x.timestamp)); },
  };
}

config settings_for_tests() {
  config result;
  auto where = amqp::parse_endpoint(test_broker::url());
  CAF_REQUIRE(where);
  result.endpoints = {*where};
  result.server_id = unique_name("test");
  result.reconnect.limit = 500ms;
  result.log.level = log_level::error;
  return result;
}

struct fixture {
  fixture() : sys(cfg), center(sys, settings_for_tests()), seen(std::make_shared<journal>()) {
    // nop
  }

  ~fixture() {
    for (auto& x : strategies)
      caf::anon_send_exit(x, caf::exit_reason::user_shutdown);
  }

  void add(const std::string& name, subscription what) {
    strategies.push_back(sys.spawn(strategy, event_center{center}, std::move(what), seen, name));
  }

  /// Publishes a trade again and again until its strategy has one of them: how
  /// a test finds out that a broken subscription is whole again.
  bool comes_through(const std::string& name, const std::string& symbol) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (std::chrono::steady_clock::now() < deadline) {
      publish(symbol, ++last);
      if (seen->wait_for(name + ' ' + symbol + ' ' + std::to_string(last), 250ms))
        return true;
    }
    return false;
  }

  void publish(const std::string& symbol, std::int64_t stamp) {
    trade x;
    x.platform = "it";
    x.symbol = symbol;
    x.timestamp = stamp;
    center.publish(x);
  }

  center_status status() {
    center_status result;
    caf::scoped_actor self{sys};
    center.status(self).receive([&](const center_status& x) { result = x; },
                                [](const caf::error& err) { CAF_FAIL(text_of(err)); });
    return result;
  }

  actors::system_config cfg;
  caf::actor_system sys;
  scoped_event_center center;
  std::shared_ptr<journal> seen;
  std::vector<caf::actor> strategies;
  std::int64_t last = 0;
};

subscription some_trades(const std::string& symbol) {
  return trades("it", symbol);
}

} // namespace

CAF_TEST(a late subscription works at once) {
  if (!test_broker::available())
    return;
  fixture f;
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
  fixture f;
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

CAF_TEST(closed connections come back with their subscriptions) {
  if (!test_broker::available())
    return;
  fixture f;
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
  fixture f;
  f.add("s", some_trades("R"));
  CAF_REQUIRE(f.seen->wait_for("s subscribed"));
  test_broker::kill();
  test_broker::restart();
  CAF_CHECK(f.comes_through("s", "R"));
}

CAF_TEST(a deleted queue comes back) {
  if (!test_broker::available())
    return;
  fixture f;
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
    auto one = sys.spawn(strategy, event_center{center}, some_trades("X"), seen, "one");
    auto all =
        sys.spawn(strategy, event_center{center}, trades("it", "#").multi(false), seen, "all");
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
  fixture f;
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
  fixture f;
  f.add("s", some_trades("E"));
  CAF_REQUIRE(f.seen->wait_for("s subscribed"));
  const auto begin = std::chrono::steady_clock::now();
  CAF_CHECK_EQUAL(f.center.stop(), 0u);
  CAF_CHECK(std::chrono::steady_clock::now() - begin < 1s);
}
