#define CAF_SUITE dispatcher.deliveries

// A delivery's way to its strategies, and when it is settled.

#include <stdexcept>

#include "unit/center/dispatcher_fixture.hpp"

using namespace actors;
using namespace actors::testing;

CAF_TEST_FIXTURE_SCOPE(dispatcher_tests, dispatcher_fixture)

CAF_TEST(overlapping bindings of one queue deliver once to each handler that matches) {
  auto exact = subscribed_strategy(trades("binance", "ETH/USDT").multi(false).on_queue("q"));
  auto any = subscribed_strategy(trades("binance", "#").multi(false).on_queue("q"));
  auto other = subscribed_strategy(trades("okx", "#").multi(false).on_queue("q"));
  deliver({delivery(1, body(some_trade()))});
  CAF_CHECK_EQUAL(exact->trades.size(), 1u);
  CAF_CHECK_EQUAL(any->trades.size(), 1u);
  CAF_CHECK_EQUAL(other->trades.size(), 0u);
}

CAF_TEST(what no handler wants is acknowledged and counted) {
  auto seen = subscribed_strategy(eth_trades());
  deliver({delivery(1, body(some_trade()), "binance.BTC/USDT"), delivery(2, body(some_trade()))});
  CAF_CHECK_EQUAL(seen->trades.size(), 1u);
  CAF_CHECK(settled() == (std::vector<amqp::settlement>{{2, verdict::ack, true}}));
  CAF_CHECK(status().unmatched == 1u);
}

// Another process may want it, or a strategy that comes back.
CAF_TEST(what no handler is for goes back to a queue that is kept) {
  auto seen = subscribed_strategy(eth_trades().on_durable_queue("q"));
  auto other = delivery(1, body(some_trade()), "binance.BTC/USDT");
  deliver({other});
  CAF_CHECK(settled() == (std::vector<amqp::settlement>{{1, verdict::release}}));
  // Nobody has taken it: it comes back, and is set aside soon, where it is in nobody's way.
  other.redelivered = true;
  for (other.tag = 2; copies.empty() && other.tag < 10; ++other.tag)
    deliver({other});
  CAF_REQUIRE_EQUAL(copies.size(), 1u);
  CAF_CHECK_EQUAL(copies[0].routing_key, "q.unmatched");
  auto again = supervisor.take<wanted_consumer>();
  CAF_REQUIRE_EQUAL(again.size(), 1u);
  CAF_REQUIRE_EQUAL(again[0].companion_queues.size(), 1u);
  CAF_CHECK_EQUAL(again[0].companion_queues[0].name, "q.unmatched");
  CAF_CHECK_EQUAL(*copies[0].body, body(some_trade()));
  for (auto& x : settled())
    CAF_CHECK(x.outcome == verdict::release || x.tag == other.tag - 1);
  CAF_CHECK(status().unmatched > 1u);
  // For whoever has a handler for it by then it is what it was.
  auto late = subscribed_strategy(trades("binance", "BTC/USDT").prefetch(10).on_durable_queue("q"));
  auto back = delivery(other.tag, body(some_trade()), "q", "");
  back.properties = copies[0].properties;
  deliver({back});
  CAF_CHECK_EQUAL(late->trades.size(), 1u);
  CAF_CHECK(seen->trades.empty());
}

CAF_TEST(what no handler is for ends in the dead letters if there are any) {
  subscribed_strategy(eth_trades().on_durable_queue("q").dead_lettered());
  auto other = delivery(1, body(some_trade()), "binance.BTC/USDT");
  for (; other.tag < 1'000; ++other.tag) {
    deliver({other});
    if (!copies.empty() && copies.back().routing_key == "q.dead")
      break;
    if (!copies.empty())
      other.properties = copies.back().properties;
  }
  CAF_REQUIRE(!copies.empty());
  CAF_CHECK_EQUAL(copies.back().routing_key, "q.dead");
  CAF_CHECK(status().dead_lettered == 1u);
}

// Two processes on one queue during an upgrade, of which one wants another type or event.
CAF_TEST(what a handler of its routing key does not want goes back to a queue that is kept) {
  auto seen = subscribed_strategy(
      klines("binance", "ETH/USDT").of_type("kline").prefetch(10).on_durable_queue("q"));
  kline five_minutes;
  five_minutes.kline_type = "kline_5m";
  deliver({delivery(1, body(five_minutes), "binance.ETH/USDT", "Kline"),
           delivery(2, body("OTHER", "{}"), "binance.ETH/USDT", "Kline")});
  CAF_CHECK(settled()
            == (std::vector<amqp::settlement>{{1, verdict::release}, {2, verdict::release}}));
  // However often it comes it counts as no copy of what was handled.
  deliver({delivery(3, body(five_minutes), "binance.ETH/USDT", "Kline")});
  CAF_CHECK(settled() == (std::vector<amqp::settlement>{{3, verdict::release}}));
  CAF_CHECK(seen->klines.empty());
  CAF_CHECK(status().unmatched == 3u);
  CAF_CHECK(status().malformed == 0u);
}

CAF_TEST(the status counts what is not remembered any more of what was handled) {
  subscribed_strategy(eth_trades());
  const auto epochs = stream_limits{}.max_epochs;
  for (std::uint64_t epoch = 1; epoch <= epochs + 2; ++epoch)
    deliver({numbered(delivery(epoch, body(some_trade())), 1, epoch)});
  CAF_CHECK(status().handlers.at(0).forgotten == 2u);
}

CAF_TEST(a message that the link could not take is rejected and hurts nobody) {
  auto seen = subscribed_strategy(eth_trades().with_stream_events());
  auto bad = delivery(2, {});
  bad.unreadable =
      std::make_shared<const failure>(failure{ec::limit_exceeded, "headers of 140000 bytes"});
  deliver({numbered(delivery(1, body(some_trade(1))), 1), bad,
           numbered(delivery(3, body(some_trade(3))), 3)});
  CAF_CHECK(seen->trades == (list{1, 3}));
  CAF_CHECK(seen->events == std::vector<std::string>{"gap 2 to 2"});
  CAF_CHECK(status().unreadable == 1u);
  auto all = settled();
  CAF_REQUIRE(!all.empty());
  CAF_CHECK(all.front() == (amqp::settlement{2, verdict::reject}));
}

CAF_TEST(on dispatch acknowledges a batch with one multiple) {
  subscribed_strategy(eth_trades())->failing = true;
  deliver({delivery(1, body(some_trade(1))), delivery(2, body(some_trade(2))),
           delivery(3, body(some_trade(3)))});
  CAF_CHECK(settled() == (std::vector<amqp::settlement>{{3, verdict::ack, true}}));
}

CAF_TEST(a failing handler on dispatch ends nothing but is counted) {
  auto seen = subscribed_strategy(eth_trades());
  seen->failing = true;
  deliver({delivery(1, body(some_trade(1))), delivery(2, body(some_trade(2)))});
  CAF_CHECK(status().handlers.at(0).failed == 2u);
  seen->failing = false;
  deliver({delivery(3, body(some_trade(3)))});
  CAF_CHECK(seen->trades == (list{1, 2, 3}));
}

CAF_TEST(a strategy without a handler for its events ends nothing) {
  subscribed_strategy(subscription::to<orderbook>("#").prefetch(10));
  orderbook book;
  deliver({delivery(1, body(book), "x", "Orderbook")});
  auto seen = subscribed_strategy(eth_trades());
  deliver({delivery(2, body(some_trade(2)))});
  CAF_CHECK(seen->trades == list{2});
}

CAF_TEST(on success the answer of the handler is the acknowledgement) {
  auto seen = subscribed_strategy(eth_trades().acked(ack_policy::on_success));
  deliver({delivery(1, body(some_trade()))});
  CAF_CHECK(settled() == (std::vector<amqp::settlement>{{1, verdict::ack, false}}));
  seen->failing = true;
  deliver({delivery(2, body(some_trade()))});
  CAF_CHECK(settled() == (std::vector<amqp::settlement>{{2, verdict::requeue, false}}));
  auto row = status().handlers.at(0);
  CAF_CHECK_EQUAL(row.succeeded, 1u);
  CAF_CHECK_EQUAL(row.failed, 1u);
  CAF_CHECK_EQUAL(row.in_flight, 0u);
}

CAF_TEST(a handler that has not answered holds back its own delivery only) {
  auto slow = subscribed_strategy(eth_trades().acked(ack_policy::on_success));
  slow->silent = true;
  deliver({delivery(1, body(some_trade(1)))});
  slow->silent = false;
  deliver({delivery(2, body(some_trade(2))), delivery(3, body(some_trade(3)))});
  CAF_CHECK(settled()
            == (std::vector<amqp::settlement>{{2, verdict::ack, false}, {3, verdict::ack, false}}));
  answer_at_last();
  CAF_CHECK(settled() == (std::vector<amqp::settlement>{{1, verdict::ack, false}}));
}

CAF_TEST(one failing handler of several requeues once all have answered) {
  auto good = subscribed_strategy(eth_trades().acked(ack_policy::on_success));
  auto bad = subscribed_strategy(eth_trades().acked(ack_policy::on_success));
  bad->failing = true;
  deliver({delivery(1, body(some_trade()))});
  CAF_CHECK_EQUAL(good->trades.size(), 1u);
  CAF_CHECK(settled() == (std::vector<amqp::settlement>{{1, verdict::requeue, false}}));
}

CAF_TEST(acknowledgements of a former life of the channel are dropped) {
  auto seen = subscribed_strategy(eth_trades().acked(ack_policy::on_success));
  seen->silent = true;
  deliver({delivery(1, body(some_trade(1)))}, 1);
  deliver({delivery(1, body(some_trade(1)))}, 2);
  // Given back, should that channel be there.
  CAF_REQUIRE_EQUAL(link->settlements.size(), 1u);
  CAF_CHECK_EQUAL(link->settlements[0].generation, 1u);
  CAF_CHECK(settled() == (std::vector<amqp::settlement>{{1, verdict::release}}));
  answer_first_at_last();
  CAF_CHECK(settled().empty());
  answer_at_last();
  CAF_CHECK(settled() == (std::vector<amqp::settlement>{{1, verdict::ack}}));
}

CAF_TEST(a malformed body is rejected and hurts nobody) {
  auto seen = subscribed_strategy(eth_trades());
  deliver({delivery(1, "no zlib"), delivery(2, body("EVENT_TRADE", "{\"p\": 1}")),
           delivery(3, body("EVENT_ORDERBOOK", "{}")), delivery(4, body("EVENT_TRADE", "{")),
           delivery(5, body(some_trade(5)))});
  CAF_CHECK(seen->trades == list{5});
  CAF_CHECK(status().malformed == 4u);
  auto items = settled();
  CAF_REQUIRE_EQUAL(items.size(), 5u);
  CAF_CHECK(items[0] == (amqp::settlement{1, verdict::reject}));
  CAF_CHECK(items[4] == (amqp::settlement{5, verdict::ack}));
}

// Nothing that a user's code throws may end more than its own message.
CAF_TEST(whatever a codec throws rejects its message and hurts nobody) {
  auto rude = eth_trades().on_queue("q");
  rude.codec = {.name = {},
                .decode = [](const received_event&) -> caf::expected<caf::message> { throw 7; }};
  auto unlucky = subscribed_strategy(rude);
  deliver({delivery(1, body(some_trade(1)))});
  CAF_CHECK(settled() == (std::vector<amqp::settlement>{{1, verdict::reject}}));
  CAF_CHECK(status().malformed == 1u);
  auto seen = subscribed_strategy(eth_trades());
  deliver({delivery(2, body(some_trade(2)))});
  CAF_CHECK(seen->trades == list{2});
}

CAF_TEST(a generic subscription gets the data as it came whatever its name) {
  auto seen = subscribed_strategy(subscription::to_events("Trade", "#"));
  deliver({delivery(1, body("ANY", R"({"x": 8680.70000000, "t": 1558949307370})"))});
  CAF_CHECK(seen->events
            == std::vector<std::string>{R"(ANY {"x": 8680.70000000, "t": 1558949307370})"});
}

CAF_TEST(a kline subscription filters by type) {
  auto all = subscribed_strategy(klines("binance", "ETH/USDT"));
  auto five = subscribed_strategy(klines("binance", "ETH/USDT").of_type("kline_5m"));
  for (auto type : {"kline", "kline_5m"}) {
    kline x;
    x.platform = "binance";
    x.symbol = "ETH/USDT";
    x.kline_type = type;
    deliver({delivery(1, body(x), "binance.ETH/USDT", "Kline")});
  }
  CAF_CHECK(all->klines == (std::vector<std::string>{"kline", "kline_5m"}));
  CAF_CHECK(five->klines == std::vector<std::string>{"kline_5m"});
}

CAF_TEST(messages of one key keep their order) {
  auto seen = subscribed_strategy(eth_trades());
  std::vector<amqp::delivery> xs;
  list expected;
  for (std::int64_t i = 1; i <= 100; ++i) {
    xs.push_back(delivery(static_cast<std::uint64_t>(i), body(some_trade(i))));
    expected.push_back(i);
  }
  deliver(std::move(xs));
  CAF_CHECK(seen->trades == expected);
}

CAF_TEST(a copy of a handled message is dropped and counted) {
  auto seen = subscribed_strategy(eth_trades().acked(ack_policy::on_success));
  deliver({numbered(delivery(1, body(some_trade(1))), 1)});
  deliver({numbered(delivery(2, body(some_trade(1))), 1),
           numbered(delivery(3, body(some_trade(2))), 2)});
  CAF_CHECK(seen->trades == (list{1, 2}));
  CAF_CHECK(status().handlers.at(0).duplicates == 1u);
  CAF_CHECK_EQUAL(settled().size(), 3u);
}

CAF_TEST(a failed message is no copy when it comes again) {
  auto seen = subscribed_strategy(eth_trades().acked(ack_policy::on_success));
  seen->failing = true;
  deliver({numbered(delivery(1, body(some_trade(1))), 1)});
  seen->failing = false;
  deliver({numbered(delivery(2, body(some_trade(1))), 1)});
  CAF_CHECK(seen->trades == (list{1, 1}));
}

// Delivered again when the link fell while the handler was busy.
CAF_TEST(a copy of a message in hand gets the verdict of that one) {
  for (auto failing : {false, true}) {
    auto seen = subscribed_strategy(eth_trades().on_queue("q").acked(ack_policy::on_success));
    seen->silent = true;
    const auto first = failing ? 10u : 1u;
    deliver({numbered(delivery(1, body(some_trade(1))), 1)}, first);
    caf::anon_send(sut, consumers_lost{{ec::connection_lost, "gone"}, consumer_ids});
    sched.run();
    settled(); // given back, should its channel be there
    deliver({numbered(delivery(1, body(some_trade(1))), 1)}, first + 1);
    advance(std::chrono::seconds{10});
    CAF_CHECK(seen->trades == list{1});
    CAF_CHECK(settled().empty());
    seen->failing = failing;
    answer_at_last();
    const auto expected = failing ? verdict::requeue : verdict::ack;
    CAF_CHECK(settled() == (std::vector<amqp::settlement>{{1, expected}}));
    unsubscribe(last_answer->ok->id);
  }
}

CAF_TEST(several channels deliver at once and each gets its own answers) {
  auto one = subscribed_strategy(eth_trades().on_queue("one").acked(ack_policy::on_success));
  one->silent = true;
  deliver({delivery(1, body(some_trade(1)))}, 1);
  const auto first = strategies.back();
  auto two = subscribed_strategy(eth_trades().on_queue("two").acked(ack_policy::on_success));
  deliver({delivery(1, body(some_trade(2)))}, 2);
  CAF_REQUIRE_EQUAL(link->settlements.size(), 1u);
  CAF_CHECK_EQUAL(link->settlements[0].generation, 2u);
  settled();
  caf::anon_send(first, caf::ok_atom::value);
  sched.run();
  CAF_REQUIRE_EQUAL(link->settlements.size(), 1u);
  CAF_CHECK_EQUAL(link->settlements[0].generation, 1u);
}

CAF_TEST(a strategy that asks for it is told of gaps and restarts in order) {
  auto seen = subscribed_strategy(eth_trades().with_stream_events());
  deliver({numbered(delivery(1, body(some_trade(1))), 1),
           numbered(delivery(2, body(some_trade(4))), 4),
           numbered(delivery(3, body(some_trade(5))), 1, 2)});
  CAF_CHECK(seen->events == (std::vector<std::string>{"gap 2 to 3", "restarted 2"}));
  CAF_CHECK(seen->trades == (list{1, 4, 5}));
}

CAF_TEST(deliveries without acknowledgement are never settled) {
  auto seen = subscribed_strategy(trades("#", "#"));
  CAF_CHECK(wanted.at(0).consumer.no_ack);
  deliver({delivery(1, body(some_trade(1))), delivery(2, "broken")});
  CAF_CHECK(seen->trades == list{1});
  CAF_CHECK(settled().empty());
}

CAF_TEST(a star binding gets its messages) {
  auto seen = subscribed_strategy(trades("binance", "*").multi(false));
  deliver({delivery(1, body(some_trade(1))), delivery(2, body(some_trade(2)), "okx.ETH/USDT")});
  CAF_CHECK(seen->trades == list{1});
  CAF_CHECK(status().unmatched == 1u);
}

CAF_TEST(a handler that returns a value has succeeded) {
  strategies.push_back(
      sys.spawn([] { return caf::behavior{[](const trade& x) { return x.timestamp; }}; }));
  subscribe_and_confirm(eth_trades().acked(ack_policy::on_success));
  deliver({delivery(1, body(some_trade()))});
  CAF_CHECK(settled() == (std::vector<amqp::settlement>{{1, verdict::ack}}));
  CAF_CHECK(status().handlers.at(0).succeeded == 1u);
}

// CAF sends the value back to us, who did not ask for it.
CAF_TEST(a handler on dispatch may return a value) {
  strategies.push_back(
      sys.spawn([] { return caf::behavior{[](const trade& x) { return x.timestamp; }}; }));
  subscribe_and_confirm(eth_trades());
  deliver({delivery(1, body(some_trade(1)))});
  deliver({delivery(2, body(some_trade(2)))});
  CAF_REQUIRE(status().handlers.size() == 1u);
  CAF_CHECK(status().handlers.at(0).delivered == 2u);
}

CAF_TEST(a handler that throws requeues its message and ends its strategy alone) {
  auto good = subscribed_strategy(eth_trades().acked(ack_policy::on_success));
  strategies.push_back(sys.spawn([] {
    return caf::behavior{[](const trade&) { throw std::runtime_error("a bug of the strategy"); }};
  }));
  subscribe_and_confirm(eth_trades().acked(ack_policy::on_success));
  deliver({delivery(1, body(some_trade(1)))});
  CAF_CHECK(settled() == (std::vector<amqp::settlement>{{1, verdict::requeue}}));
  CAF_CHECK(status().handlers.size() == 1u);
  deliver({delivery(2, body(some_trade(2)))});
  CAF_CHECK(good->trades == (list{1, 2}));
}

CAF_TEST(a message that its strategy has no handler for is rejected) {
  subscribed_strategy(orderbooks("binance", "ETH/USDT").prefetch(10).acked(ack_policy::on_success));
  orderbook x;
  x.platform = "binance";
  x.symbol = "ETH/USDT";
  deliver({delivery(1, body(x), "binance.ETH/USDT", "Orderbook")});
  CAF_CHECK(settled() == (std::vector<amqp::settlement>{{1, verdict::reject}}));
  CAF_CHECK(status().handlers.at(0).failed == 1u);
  CAF_CHECK(status().requeued == 0u);
}

// Its strategy may have forgotten a handler: that is no reason to lose a message for good.
CAF_TEST(what a strategy has no handler for goes back to a queue that is kept) {
  subscribed_strategy(
      orderbooks("binance", "ETH/USDT").on_durable_queue("q").acked(ack_policy::on_success));
  auto x = delivery(1, body(orderbook{}), "binance.ETH/USDT", "Orderbook");
  deliver({x});
  CAF_CHECK(settled() == (std::vector<amqp::settlement>{{1, verdict::release}}));
  x.redelivered = true;
  for (x.tag = 2; copies.empty() && x.tag < 10; ++x.tag)
    deliver({x});
  CAF_REQUIRE_EQUAL(copies.size(), 1u);
  CAF_CHECK_EQUAL(copies[0].routing_key, "q.unmatched");
  CAF_CHECK_EQUAL(*copies[0].body, body(orderbook{}));
  for (auto& y : settled())
    CAF_CHECK(y.outcome == verdict::release || y.tag == x.tag - 1);
}

CAF_TEST(a malformed message counts once however many strategies wait for it) {
  subscribed_strategy(eth_trades());
  subscribed_strategy(eth_trades());
  deliver({delivery(1, body("EVENT_TRADE", "{}"))});
  CAF_CHECK(status().malformed == 1u);
}

CAF_TEST(deliveries that overtake the word of the broker know their queue) {
  auto seen = add_strategy();
  subscribe(subscription::to_events("Trade", "#").on_queue("audit"));
  wanted = supervisor.take<wanted_consumer>();
  consumer_ids.push_back(wanted.at(0).consumer.id);
  deliver({delivery(1, body("ANY", "1"))});
  CAF_CHECK(seen->queues == std::vector<std::string>{"audit"});
}

CAF_TEST_FIXTURE_SCOPE_END()
