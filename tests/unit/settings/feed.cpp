#define CAF_SUITE feed

#include "settings/feed.hpp"

#include "unit/center/dispatcher_fixture.hpp"

using namespace actors;
using namespace actors::testing;

CAF_TEST(what is a feed) {
  CAF_CHECK(is_feed(trades("binance", "ETH/USDT")));
  CAF_CHECK(is_feed(trades("#", "#")));
  CAF_CHECK(is_feed(orderbooks("#", "#").keeping(delivery_policy::latest_per_key)));
  CAF_CHECK(!is_feed(trades("binance", "#").acked(ack_policy::on_success)));
  CAF_CHECK(!is_feed(trades("binance", "#").on_queue("mine")));
  CAF_CHECK(!is_feed(trades("binance", "#").on_durable_queue("mine")));
  CAF_CHECK(!is_feed(trades("binance", "#").limited({.max_length = 5})));
}

CAF_TEST(limits cross as arguments of the queue) {
  for (auto policy : {delivery_policy::drop_oldest, delivery_policy::drop_newest,
                      delivery_policy::latest_per_key}) {
    const auto queue = feed_queue(orderbooks("#", "#").keeping(policy, 77), "q");
    CAF_CHECK_EQUAL(queue.name, "q");
    CAF_CHECK(feed_limits(queue) == (delivery_limits{policy, 77}));
  }
}

CAF_TEST(the types of a candle are told apart by its host alone) {
  const auto queue = feed_queue(klines("#", "#").keeping(delivery_policy::latest_per_key, 5), "q");
  CAF_CHECK(feed_limits(queue) == (delivery_limits{delivery_policy::drop_oldest, 5}));
}

CAF_TEST(what is no feed and what is nonsense) {
  CAF_CHECK(!feed_limits(amqp::queue{}));
  auto queue = feed_queue(trades("#", "#"), "q");
  queue.arguments[1].second = std::int64_t{0};
  CAF_CHECK(!feed_limits(queue));
  // Nobody has a relay keep more than a process of its own would.
  queue.arguments[1].second = std::int64_t{1} << 60;
  const auto limits = feed_limits(queue);
  CAF_REQUIRE(limits);
  CAF_CHECK_EQUAL(limits->max_waiting, delivery_limits{}.max_waiting);
}

namespace {

struct feeding_fixture : dispatcher_fixture {
  feeding_fixture() : dispatcher_fixture(true) {
    // nop
  }
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(feed_tests, feeding_fixture)

CAF_TEST(behind a relay a subscription asks for a feed) {
  subscribed_strategy(eth_trades().keeping(delivery_policy::drop_newest, 9));
  const auto& asked = wanted.at(0);
  CAF_CHECK_EQUAL(asked.queue.name, "srv.Trade.binance.ETH/USDT.feed");
  CAF_CHECK(asked.consumer.no_ack);
  CAF_CHECK(feed_limits(asked.queue) == (delivery_limits{delivery_policy::drop_newest, 9}));
}

CAF_TEST(beside it an acknowledged subscription has a queue of its own) {
  auto fed = subscribed_strategy(eth_trades());
  auto acknowledged = subscribed_strategy(eth_trades().acked(ack_policy::on_success));
  CAF_REQUIRE_EQUAL(wanted.size(), 2u);
  CAF_CHECK_EQUAL(wanted[1].queue.name, "srv.Trade.binance.ETH/USDT");
  CAF_CHECK(!wanted[1].consumer.no_ack);
  CAF_CHECK(!feed_limits(wanted[1].queue));
}

CAF_TEST(a relay hands on what it gets and opens nothing) {
  auto count = std::make_shared<int>(0);
  strategies.push_back(sys.spawn([=](caf::event_based_actor*) -> caf::behavior {
    return {[=](const amqp::delivery& x) {
      CAF_CHECK_EQUAL(x.body, "no zlib stream");
      ++*count;
    }};
  }));
  subscribe_and_confirm(feed_subscription({"Trade", "", "#"}, {}));
  deliver({delivery(1, "no zlib stream")});
  CAF_CHECK_EQUAL(*count, 1);
  const auto counters = status();
  CAF_CHECK_EQUAL(counters.malformed, 0u);
}

CAF_TEST_FIXTURE_SCOPE_END()
