#define CAF_SUITE guarantees

// What docs/delivery-guarantees.md promises, by all three actors together.

#include <algorithm>
#include <memory>
#include <optional>

#include "amqp/memory/transport.hpp"
#include "support/silent_listener.hpp"
#include "unit/memory_center_fixture.hpp"
#include "wire/payload.hpp"

using namespace actors;
using namespace actors::testing;
using namespace std::chrono_literals;

namespace {

struct journal {
  std::vector<std::int64_t> trades;
  /// How many calls of the handler fail from now on.
  int failures = 0;
};

caf::behavior strategy(caf::event_based_actor* self, event_center center, subscription what,
                       std::shared_ptr<journal> seen) {
  center.subscribe(self, std::move(what));
  return {
      [=](const trade& x) -> caf::result<void> {
        seen->trades.push_back(x.timestamp);
        if (seen->failures == 0)
          return caf::unit;
        --seen->failures;
        return make_error(ec::handler_failed, "not this one");
      },
  };
}

struct fixture : memory_center_fixture {
  fixture() {
    start();
  }

  std::shared_ptr<journal> add(subscription what) {
    auto result = std::make_shared<journal>();
    strategies.push_back(sys.spawn(strategy, center, std::move(what), result));
    sched.run();
    return result;
  }

  std::size_t ready(const std::string& queue) {
    for (auto& x : broker->queues())
      if (x.name == queue)
        return x.ready;
    CAF_FAIL("there is no queue " << queue);
  }

  /// What a publisher is told, none as long as it waits.
  std::shared_ptr<std::optional<ec>> publish_asking(const trade& x, publish_options options) {
    auto result = std::make_shared<std::optional<ec>>();
    sys.spawn([=, this](caf::event_based_actor* self) {
      center.publish(self, x, options)
          .then([=](const published&) { *result = ec::none; },
                [=](const caf::error& err) { *result = code_of(err); });
    });
    sched.run();
    return result;
  }

  caf::error publish_mandatory(const trade& x) {
    caf::error result;
    caf::scoped_actor self{sys};
    auto request = center.publish(self, x, {.mandatory = true});
    sched.run();
    request.receive([](const published&) {}, [&](caf::error& err) { result = std::move(err); });
    return result;
  }
};

using list = std::vector<std::int64_t>;

subscription orders(retry_policy policy) {
  return trades("binance", "ETH/USDT").on_durable_queue("orders").retried(policy);
}

} // namespace

CAF_TEST_FIXTURE_SCOPE(guarantee_tests, fixture)

CAF_TEST(a mandatory message that no queue takes is answered so) {
  CAF_CHECK(code_of(publish_mandatory(some_trade(1))) == ec::no_route);
  add(trades("binance", "ETH/USDT"));
  CAF_CHECK(!publish_mandatory(some_trade(2)));
}

// Nobody says mandatory, and the exchange is not durable: after a restart of the broker
// nothing is bound to it until the consumer is back.
CAF_TEST(every persistent trade arrives over a restart of the broker) {
  const auto what = trades("binance", "ETH/USDT")
                        .on_durable_queue("trades")
                        .prefetch(100)
                        .acked(ack_policy::on_success);
  auto publish_persistent = [this](std::int64_t number) {
    center.publish(some_trade(number), {.persistent = true});
    sched.run();
  };
  auto seen = add(what);
  publish_persistent(1);
  CAF_CHECK(seen->trades == list{1});
  caf::anon_send_exit(strategies.back(), caf::exit_reason::user_shutdown);
  sched.run();
  broker->restart();
  reconnect();
  for (std::int64_t i = 2; i <= 5; ++i) {
    publish_persistent(i);
    advance(2s);
  }
  CAF_CHECK_EQUAL(ready("trades"), 0u);
  auto again = add(what);
  advance(1s);
  CAF_CHECK(again->trades == (list{2, 3, 4, 5}));
  publish_persistent(6);
  CAF_CHECK(again->trades == (list{2, 3, 4, 5, 6}));
}

CAF_TEST(a strategy that is away for a while loses nothing and delays nobody) {
  const auto of = [](const char* symbol) {
    return trades("binance", symbol)
        .on_durable_queue("orders")
        .prefetch(1)
        .acked(ack_policy::on_success);
  };
  auto stays = add(of("ETH/USDT"));
  add(of("BTC/USDT"));
  caf::anon_send_exit(strategies.back(), caf::exit_reason::user_shutdown);
  sched.run();
  list all;
  for (std::int64_t i = 1; i <= 100; ++i) {
    center.publish(some_trade(i, "BTC/USDT"), {.persistent = true});
    center.publish(some_trade(i, "ETH/USDT"), {.persistent = true});
    all.push_back(i);
    advance(10ms);
    CAF_CHECK(stays->trades.size() + 5 > all.size()); // 50 ms late at most
  }
  auto back = add(of("BTC/USDT"));
  for (auto i = 0; i < 12; ++i)
    advance(500ms);
  std::sort(back->trades.begin(), back->trades.end());
  CAF_CHECK(back->trades == all);
  CAF_CHECK(stays->trades == all);
}

// Each key is for both; one of them crashes and is started again.
CAF_TEST(what comes while one of two strategies of a queue is away waits for it) {
  const auto all_trades = subscription::to<trade>("binance.#")
                              .on_durable_queue("trades")
                              .prefetch(100)
                              .acked(ack_policy::on_success);
  auto stays = add(trades("binance", "ETH/USDT")
                       .on_durable_queue("trades")
                       .prefetch(100)
                       .acked(ack_policy::on_success));
  add(all_trades);
  list all;
  auto publish_for = [&](std::chrono::milliseconds time) {
    for (const auto until = all.size() + time / 100ms; all.size() < until;) {
      all.push_back(static_cast<std::int64_t>(all.size()) + 1);
      center.publish(some_trade(all.back()), {.persistent = true});
      advance(100ms);
      CAF_CHECK(stays->trades == all);
    }
  };
  publish_for(300ms);
  const auto before = all.size();
  caf::anon_send_exit(strategies.back(), caf::exit_reason::kill);
  sched.run();
  publish_for(2s);
  auto back = add(all_trades);
  CAF_CHECK_EQUAL(back->trades.size(), all.size() - before);
  publish_for(300ms);
  CAF_CHECK(back->trades == list(all.begin() + static_cast<std::ptrdiff_t>(before), all.end()));
  CAF_CHECK(stays->trades == all);
  CAF_CHECK_EQUAL(ready("trades"), 0u);
}

// The consumer is away for longer than anybody waits.
CAF_TEST(a trade that finds no queue is never published) {
  add(trades("binance", "ETH/USDT").on_durable_queue("trades").acked(ack_policy::on_success));
  CAF_CHECK(*publish_asking(some_trade(1), {.persistent = true}) == ec::none);
  caf::anon_send_exit(strategies.back(), caf::exit_reason::user_shutdown);
  sched.run();
  broker->restart();
  reconnect();
  auto held = publish_asking(some_trade(2), {.persistent = true});
  auto behind = publish_asking(some_trade(3), {.persistent = true});
  for (auto i = 0; i < 40; ++i)
    advance(1s);
  CAF_CHECK(!*held && !*behind);
  for (auto i = 0; i < 10; ++i)
    advance(1s);
  CAF_CHECK(*held == ec::no_route && *behind == ec::no_route);
  CAF_CHECK(*publish_asking(some_trade(4), {.persistent = true}) == ec::no_route);
  CAF_CHECK(*publish_asking(some_trade(5), {}) == ec::none); // nobody wants to know
  CAF_CHECK_EQUAL(ready("trades"), 0u);
}

CAF_TEST(a message that always fails is retried and ends in the dead letters) {
  auto seen = add(orders({.delay = 10ms, .factor = 2, .max_delay = 20ms, .max_retries = 3}));
  seen->failures = 100;
  publish(some_trade(1));
  CAF_CHECK_EQUAL(seen->trades.size(), 1u);
  CAF_CHECK_EQUAL(ready("orders.retry.10"), 1u);
  advance(10ms);
  CAF_CHECK_EQUAL(seen->trades.size(), 2u);
  for (auto i = 0; i < 10; ++i)
    advance(20ms);
  CAF_CHECK_EQUAL(seen->trades.size(), 4u);
  CAF_CHECK_EQUAL(ready("orders.dead"), 1u);
  for (auto queue : {"orders", "orders.retry.10", "orders.retry.20"})
    CAF_CHECK_EQUAL(ready(queue), 0u);
}

CAF_TEST(a message that succeeds at its retry is done) {
  auto seen = add(orders({.delay = 10ms}));
  seen->failures = 1;
  publish(some_trade(1));
  publish(some_trade(2));
  for (auto i = 0; i < 10; ++i)
    advance(20ms);
  CAF_CHECK(seen->trades == (list{1, 2, 1}));
  CAF_CHECK_EQUAL(ready("orders.dead"), 0u);
}

// A publisher that numbers nothing, such as AIOQuant: its copies must not be taken for
// messages that we have published ourselves.
CAF_TEST(retries of unnumbered messages are not lost) {
  auto seen = add(orders({.delay = 10ms}));
  for (std::int64_t i = 1; i <= 5; ++i)
    publish(some_trade(i));
  seen->failures = 5;
  auto python = amqp::make_memory_transport(broker);
  python->connect({}, std::make_shared<silent_listener>());
  std::vector<amqp::publication> xs;
  for (std::int64_t i = 11; i <= 15; ++i) {
    auto& x = xs.emplace_back();
    x.exchange = "Trade";
    x.routing_key = "binance.ETH/USDT";
    x.body = std::make_shared<const std::string>(
        payload_encoder{}.encode(trade::event_name, data_of(some_trade(i))));
  }
  python->out()->publish(1, std::move(xs));
  sched.run();
  for (auto i = 0; i < 10; ++i)
    advance(20ms);
  CAF_CHECK(seen->trades == (list{1, 2, 3, 4, 5, 11, 12, 13, 14, 15, 11, 12, 13, 14, 15}));
  python->close();
}

// Somebody has deleted it: its message stays where it is until it is there again.
CAF_TEST(a missing retry queue comes back and loses nothing) {
  auto seen = add(orders({.delay = 10ms}));
  broker->delete_queue("orders.retry.10");
  seen->failures = 2;
  publish(some_trade(1));
  advance(1s); // back to its queue, and failed again
  advance(10ms);
  CAF_CHECK(seen->trades == (list{1, 1, 1}));
  CAF_CHECK_EQUAL(ready("orders.dead"), 0u);
}

CAF_TEST(a wedged consumer is noticed and gets what waited) {
  auto seen = add(trades("binance", "ETH/USDT").on_durable_queue("q"));
  CAF_CHECK_EQUAL(broker->forget_consumers("q"), 1u);
  publish(some_trade(1));
  CAF_CHECK(seen->trades.empty());
  for (auto i = 0; i < 4; ++i)
    advance(30s);
  CAF_CHECK(seen->trades == list{1});
}

CAF_TEST(a stream is read from its beginning and on after a reconnect) {
  auto live = add(trades("binance", "ETH/USDT").on_stream("tape"));
  for (std::int64_t i = 1; i <= 3; ++i)
    publish(some_trade(i));
  CAF_CHECK(live->trades == (list{1, 2, 3}));
  auto [second, links] = spawn_center("second");
  caf::anon_send(links, start_atom_v, second);
  auto late = std::make_shared<journal>();
  strategies.push_back(
      sys.spawn(strategy, event_center{second, links},
                trades("binance", "ETH/USDT").on_stream("tape", std::string{"first"}), late));
  sched.run();
  CAF_CHECK(late->trades == (list{1, 2, 3}));
  auto beside = add(trades("binance", "ETH/USDT").on_stream("tape", std::string{"first"}));
  CAF_CHECK(beside->trades == (list{1, 2, 3}));
  broker->drop_links();
  reconnect();
  publish(some_trade(4));
  CAF_CHECK(live->trades == (list{1, 2, 3, 4}));
  CAF_CHECK(late->trades == (list{1, 2, 3, 4}));
  CAF_CHECK(beside->trades == (list{1, 2, 3, 4}));
  for (auto& x : {second, links})
    caf::anon_send_exit(x, caf::exit_reason::kill);
}

CAF_TEST_FIXTURE_SCOPE_END()
