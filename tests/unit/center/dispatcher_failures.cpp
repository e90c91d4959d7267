#define CAF_SUITE dispatcher.failures

// What becomes of messages whose handler fails, or never answers.

#include <limits>
#include <stdexcept>

#include "unit/center/dispatcher_fixture.hpp"

using namespace actors;
using namespace actors::testing;
using namespace std::chrono_literals;

namespace {

using settlements = std::vector<amqp::settlement>;

subscription retried_trades(retry_policy policy = {}) {
  return eth_trades().on_durable_queue("orders").retried(policy);
}

amqp::field_value header(const amqp::publication& x, std::string_view name) {
  for (auto& [key, value] : x.properties.headers)
    if (key == name)
      return value;
  return std::string{"none"};
}

/// The copy as the broker brings it back after its delay.
amqp::delivery brought_back(amqp::delivery x, const amqp::publication& copy) {
  x.exchange.clear();
  x.routing_key = "orders";
  x.properties = copy.properties;
  x.body = *copy.body;
  return x;
}

} // namespace

CAF_TEST_FIXTURE_SCOPE(dispatcher_failure_tests, dispatcher_fixture)

CAF_TEST(a failed message goes to the retries and is acknowledged once its copy is there) {
  subscribed_strategy(retried_trades())->failing = true;
  deliver({delivery(1, body(some_trade()))});
  CAF_REQUIRE_EQUAL(copies.size(), 1u);
  CAF_CHECK_EQUAL(copies[0].exchange, "");
  CAF_CHECK_EQUAL(copies[0].routing_key, "orders.retry.1000");
  CAF_CHECK(copies[0].mandatory && copies[0].properties.persistent);
  CAF_CHECK_EQUAL(*copies[0].body, body(some_trade()));
  CAF_CHECK(header(copies[0], "x-la-exchange") == amqp::field_value{"Trade"});
  CAF_CHECK(header(copies[0], "x-la-routing-key") == amqp::field_value{"binance.ETH/USDT"});
  CAF_CHECK(header(copies[0], "x-la-attempts") == amqp::field_value{std::int64_t{1}});
  CAF_CHECK(header(copies[0], "x-la-error") == amqp::field_value{"no"});
  CAF_CHECK(settled() == (settlements{{1, verdict::ack}}));
  CAF_CHECK(status().retried == 1u);
}

CAF_TEST(a message is retried with growing delays and ends in the dead letters) {
  auto seen = subscribed_strategy(
      retried_trades({.delay = 10ms, .factor = 3, .max_delay = 50ms, .max_retries = 3}));
  seen->failing = true;
  deliver({delivery(1, body(some_trade()))});
  for (std::uint64_t tag = 2; tag <= 4; ++tag)
    deliver({brought_back(delivery(tag, {}), copies.back())});
  CAF_REQUIRE_EQUAL(copies.size(), 4u);
  CAF_CHECK_EQUAL(copies[0].routing_key, "orders.retry.10");
  CAF_CHECK_EQUAL(copies[1].routing_key, "orders.retry.30");
  CAF_CHECK_EQUAL(copies[2].routing_key, "orders.retry.50");
  CAF_CHECK_EQUAL(copies[3].routing_key, "orders.dead");
  CAF_CHECK(header(copies[3], "x-la-attempts") == amqp::field_value{std::int64_t{4}});
  CAF_CHECK_EQUAL(seen->trades.size(), 4u);
  CAF_CHECK(status().dead_lettered == 1u);
}

// A peer may write any number, and no retry has that number.
CAF_TEST(a message with a count of attempts beyond all limits goes to the dead letters) {
  auto seen = subscribed_strategy(retried_trades({.max_retries = 3}));
  seen->failing = true;
  std::uint64_t tag = 0;
  for (auto count : {std::int64_t{4'294'967'295}, std::numeric_limits<std::int64_t>::max()}) {
    auto forged = delivery(++tag, body(some_trade()));
    forged.properties.headers.emplace_back("x-la-attempts", count);
    deliver({std::move(forged)});
    CAF_REQUIRE_EQUAL(copies.size(), tag);
    CAF_CHECK_EQUAL(copies.back().routing_key, "orders.dead");
  }
}

// The queue beside may be gone, or the broker blocks: nothing is lost.
CAF_TEST(a failed message whose copy does not arrive goes back after a pause) {
  subscribed_strategy(retried_trades())->failing = true;
  refusing_copies = true;
  deliver({delivery(1, body(some_trade()))});
  CAF_CHECK(settled().empty());
  advance(1s);
  CAF_CHECK(settled() == (settlements{{1, verdict::release}}));
}

CAF_TEST(a retried copy is no duplicate of what failed but is one of what was handled) {
  auto seen = subscribed_strategy(retried_trades());
  auto x = numbered(delivery(1, body(some_trade())), 1);
  seen->failing = true;
  deliver({x});
  seen->failing = false;
  for (std::uint64_t tag = 2; tag <= 3; ++tag)
    deliver({brought_back(delivery(tag, {}), copies.at(0))});
  CAF_CHECK_EQUAL(seen->trades.size(), 2u);
  CAF_CHECK(status().handlers.at(0).duplicates == 1u);
  CAF_CHECK_EQUAL(settled().size(), 3u);
}

CAF_TEST(a message goes to the dead letters at once if that was asked for) {
  subscribed_strategy(eth_trades().on_durable_queue("orders").dead_lettered())->failing = true;
  deliver({delivery(1, body(some_trade()))});
  CAF_REQUIRE_EQUAL(copies.size(), 1u);
  CAF_CHECK_EQUAL(copies[0].routing_key, "orders.dead");
  CAF_CHECK(settled() == (settlements{{1, verdict::ack}}));
}

// It is as unreadable the next time.
CAF_TEST(a malformed message goes to the dead letters without a retry) {
  subscribed_strategy(retried_trades());
  deliver({delivery(1, "no zlib stream")});
  CAF_REQUIRE_EQUAL(copies.size(), 1u);
  CAF_CHECK_EQUAL(copies[0].routing_key, "orders.dead");
  CAF_CHECK_EQUAL(*copies[0].body, "no zlib stream");
  auto error = std::get<std::string>(header(copies[0], "x-la-error"));
  CAF_CHECK(error.starts_with("body of 14 bytes: not a zlib stream"));
}

CAF_TEST(a failed message is rejected if that was asked for) {
  subscribed_strategy(eth_trades().on_error(error_policy::reject))->failing = true;
  deliver({delivery(1, body(some_trade()))});
  CAF_CHECK(settled() == (settlements{{1, verdict::reject}}));
  CAF_CHECK(copies.empty());
}

// The message that a strategy dies of counts as failed, those behind it do not.
CAF_TEST(a strategy that throws fails with one message and leaves the others untouched) {
  strategies.push_back(sys.spawn([] {
    return caf::behavior{[](const trade&) { throw std::runtime_error("a bug of the strategy"); }};
  }));
  subscribe_and_confirm(retried_trades());
  deliver({delivery(1, body(some_trade(1))), delivery(2, body(some_trade(2)))});
  CAF_REQUIRE_EQUAL(copies.size(), 1u);
  CAF_CHECK_EQUAL(*copies[0].body, body(some_trade(1)));
  auto all = settled();
  std::sort(all.begin(), all.end(), [](auto& x, auto& y) { return x.tag < y.tag; });
  CAF_CHECK(all == (settlements{{1, verdict::ack}, {2, verdict::release}}));
}

CAF_TEST(queues for retries and dead letters are wanted beside the queue) {
  subscribed_strategy(retried_trades({.delay = 1s, .max_delay = 2s, .max_retries = 9}));
  auto& x = wanted.at(0);
  CAF_REQUIRE_EQUAL(x.companion_queues.size(), 3u);
  CAF_CHECK_EQUAL(x.companion_queues[0].name, "orders.retry.1000");
  CAF_CHECK_EQUAL(x.companion_queues[1].name, "orders.retry.2000");
  CAF_CHECK_EQUAL(x.companion_queues[2].name, "orders.dead");
  for (auto& queue : x.companion_queues)
    CAF_CHECK(queue.durable && !queue.auto_delete && !queue.exclusive);
}

CAF_TEST(subscribers of one queue must agree on its failures) {
  subscribed_strategy(retried_trades());
  add_strategy();
  auto answer = subscribe(eth_trades().on_durable_queue("orders").dead_lettered());
  CAF_CHECK(code_of(answer->error) == ec::subscription_conflict);
}

// -- handlers that do not answer ----------------------------------------------------------

CAF_TEST(a handler that does not answer in time has failed) {
  auto seen = subscribed_strategy(eth_trades().on_durable_queue("orders").retried().within(2s));
  seen->silent = true;
  deliver({delivery(1, body(some_trade(1)))});
  advance(1s);
  CAF_CHECK(copies.empty());
  advance(2s);
  CAF_REQUIRE_EQUAL(copies.size(), 1u);
  CAF_CHECK(header(copies[0], "x-la-error") == amqp::field_value{"no answer within 2000 ms"});
  auto row = status().handlers.at(0);
  CAF_CHECK_EQUAL(row.timed_out, 1u);
  CAF_CHECK_EQUAL(row.in_flight, 0u);
  CAF_CHECK_EQUAL(row.failed, 1u);
}

// It was handled after all: its retry must not be handled again.
CAF_TEST(a late answer counts for copies and for nothing else) {
  auto seen = subscribed_strategy(eth_trades().on_durable_queue("orders").retried().within(2s));
  seen->silent = true;
  auto x = numbered(delivery(1, body(some_trade(1))), 1);
  deliver({x});
  advance(3s);
  answer_at_last();
  auto row = status().handlers.at(0);
  CAF_CHECK_EQUAL(row.in_flight, 0u);
  CAF_CHECK_EQUAL(row.succeeded, 0u);
  deliver({brought_back(delivery(2, {}), copies.at(0))});
  CAF_CHECK_EQUAL(seen->trades.size(), 1u);
  CAF_CHECK(settled() == (settlements{{1, verdict::ack}, {2, verdict::ack}}));
}

// The broker delivers it again meanwhile: the copy is not handled as well, and does not go
// round for ever.
CAF_TEST(a time limit goes on when the link falls) {
  auto seen = subscribed_strategy(eth_trades().on_durable_queue("orders").retried().within(2s));
  seen->silent = true;
  deliver({numbered(delivery(1, body(some_trade(1))), 1)}, 1);
  advance(1s);
  caf::anon_send(sut, consumers_lost{{ec::connection_lost, "gone"}, consumer_ids});
  sched.run();
  settled(); // given back, should its channel be there
  auto again = numbered(delivery(1, body(some_trade(1))), 1);
  again.redelivered = true;
  deliver({again}, 2);
  CAF_CHECK(settled().empty());
  advance(1250ms);
  CAF_CHECK_EQUAL(seen->trades.size(), 1u);
  CAF_REQUIRE_EQUAL(copies.size(), 1u);
  CAF_CHECK_EQUAL(copies[0].routing_key, "orders.retry.1000");
  CAF_CHECK(settled() == (settlements{{1, verdict::ack}}));
  // Its retry is handled, now that the handler is well.
  seen->silent = false;
  deliver({brought_back(delivery(2, {}), copies.at(0))}, 2);
  CAF_CHECK_EQUAL(seen->trades.size(), 2u);
}

// Its mailbox would fill with copies of what it has already, and it would handle each.
CAF_TEST(a handler that hangs gets no more than one message for a try) {
  auto seen = subscribed_strategy(
      eth_trades().on_durable_queue("orders").acked(ack_policy::on_success).within(2s));
  seen->silent = true;
  auto trade_number = [this](std::uint64_t tag, std::int64_t number) {
    auto x = numbered(delivery(tag, body(some_trade(number))), static_cast<std::uint64_t>(number));
    x.redelivered = tag > 3;
    return x;
  };
  deliver({trade_number(1, 1), trade_number(2, 2), trade_number(3, 3)});
  advance(2500ms);
  CAF_CHECK(settled()
            == (settlements{{1, verdict::requeue}, {2, verdict::requeue}, {3, verdict::requeue}}));
  auto tag = std::uint64_t{4};
  // The first is for a try, the others wait, go back after the time limit and come again.
  for (auto round = 0; round < 2; ++round) {
    deliver({trade_number(tag, 1), trade_number(tag + 1, 2), trade_number(tag + 2, 3)});
    tag += 3;
    advance(2500ms);
    advance(1s);
    for (auto& x : settled())
      CAF_CHECK(x.outcome == verdict::release || x.tag % 3 == 1);
  }
  CAF_CHECK_EQUAL(seen->trades, (std::vector<std::int64_t>{1, 2, 3, 1, 1}));
  deliver({trade_number(tag, 1), trade_number(tag + 1, 2), trade_number(tag + 2, 3)});
  seen->silent = false;
  answer_at_last();
  CAF_CHECK_EQUAL(seen->trades, (std::vector<std::int64_t>{1, 2, 3, 1, 1}));
  CAF_CHECK(settled() == (settlements{{tag + 2, verdict::ack, true}}));
  deliver({trade_number(tag + 3, 4), trade_number(tag + 4, 5)});
  CAF_CHECK_EQUAL(seen->trades.size(), 7u);
}

CAF_TEST(what waits for a handler that hangs uses up no retry) {
  auto seen = subscribed_strategy(eth_trades().on_durable_queue("orders").retried().within(2s));
  seen->silent = true;
  deliver({delivery(1, body(some_trade(1)))});
  advance(2500ms);
  CAF_CHECK_EQUAL(copies.size(), 1u);
  deliver({delivery(2, body(some_trade(2))), delivery(3, body(some_trade(3)))});
  advance(2500ms);
  CAF_CHECK_EQUAL(copies.size(), 2u);
  CAF_CHECK_EQUAL(seen->trades, (std::vector<std::int64_t>{1, 2}));
}

CAF_TEST(a handler that leaves one message open gets all others) {
  auto seen = subscribed_strategy(
      eth_trades().on_durable_queue("orders").acked(ack_policy::on_success).within(2s));
  seen->silent = true;
  deliver({delivery(1, body(some_trade(1)))});
  advance(2500ms);
  seen->silent = false;
  deliver({delivery(2, body(some_trade(2))), delivery(3, body(some_trade(3)))});
  CAF_CHECK_EQUAL(seen->trades, (std::vector<std::int64_t>{1, 2, 3}));
}

CAF_TEST(what waits for a handler that hangs goes back when its strategy ends) {
  auto seen = subscribed_strategy(
      eth_trades().on_durable_queue("orders").acked(ack_policy::on_success).within(2s));
  seen->silent = true;
  deliver({delivery(1, body(some_trade(1)))});
  advance(2500ms);
  deliver({delivery(2, body(some_trade(2))), delivery(3, body(some_trade(3)))});
  settled();
  end_last_strategy();
  CAF_CHECK(settled() == (settlements{{2, verdict::release}, {3, verdict::release}}));
}

CAF_TEST(without a time limit a handler has all the time) {
  subscribed_strategy(eth_trades().acked(ack_policy::on_success).within(0ms))->silent = true;
  deliver({delivery(1, body(some_trade(1)))});
  advance(24h);
  CAF_CHECK(settled().empty());
}

// -- streams -----------------------------------------------------------------------------------

CAF_TEST(a stream is read on from the first message without an answer) {
  auto seen = subscribed_strategy(
      eth_trades().on_stream("log", std::string{"first"}).on_error(error_policy::reject));
  CAF_CHECK(wanted.at(0).consumer.arguments
            == (amqp::field_table{{"x-stream-offset", std::string{"first"}}}));
  seen->silent = true;
  std::vector<amqp::delivery> xs;
  for (auto i = 0; i < 3; ++i) {
    xs.push_back(delivery(static_cast<std::uint64_t>(i) + 1, body(some_trade(i))));
    xs.back().properties.headers = {{"x-stream-offset", std::int64_t{40} + i}};
  }
  deliver(xs);
  answer_first_at_last();
  caf::anon_send(sut, consumers_lost{{ec::connection_lost, "lost"}, consumer_ids});
  sched.run();
  auto again = supervisor.take<wanted_consumer>();
  CAF_REQUIRE_EQUAL(again.size(), 1u);
  CAF_CHECK(again[0].consumer.arguments
            == (amqp::field_table{{"x-stream-offset", std::int64_t{41}}}));
}

CAF_TEST(a stream that is gone is not read on where it was) {
  subscribed_strategy(eth_trades().on_stream("log", std::string{"first"}));
  auto read_and_lose = [&](std::int64_t offset) {
    auto x = delivery(1, body(some_trade(1)));
    x.properties.headers = {{"x-stream-offset", offset}};
    deliver({x});
    caf::anon_send(sut, consumers_lost{{ec::connection_lost, "lost"}, consumer_ids});
    sched.run();
    return supervisor.take<wanted_consumer>().at(0).consumer.arguments.at(0).second;
  };
  auto tell = [&](std::int64_t abandoned) {
    consumer_state x{consumer_ids.back(), "log", wanted.back().binding, {}};
    x.abandoned_offset = abandoned;
    caf::anon_send(sut, std::move(x));
    caf::anon_send(sut, consumers_lost{{ec::connection_lost, "lost"}, consumer_ids});
    sched.run();
    return supervisor.take<wanted_consumer>().at(0).consumer.arguments.at(0).second;
  };
  CAF_CHECK(read_and_lose(41) == amqp::field_value{std::int64_t{42}});
  CAF_CHECK(tell(7) == amqp::field_value{std::int64_t{42}}); // some has come since
  CAF_CHECK(tell(42) == amqp::field_value{std::int64_t{0}});
}

// A strategy that is started again may subscribe before it is known that the former one ended.
CAF_TEST(each reader of a stream begins where it asks to) {
  const auto tape = eth_trades().on_stream("log", std::string{"first"});
  auto seen = subscribed_strategy(tape);
  auto first = delivery(1, body(some_trade(1)));
  first.properties.headers = {{"x-stream-offset", std::int64_t{40}}};
  deliver({first});
  auto again = subscribed_strategy(tape);
  auto later = subscribed_strategy(eth_trades().on_stream("log", std::int64_t{40}).prefetch(5));
  CAF_REQUIRE_EQUAL(wanted.size(), 3u);
  CAF_CHECK(wanted[0].consumer.id != wanted[1].consumer.id);
  CAF_CHECK(wanted[1].consumer.arguments == wanted[0].consumer.arguments);
  CAF_CHECK(wanted[2].consumer.arguments
            == (amqp::field_table{{"x-stream-offset", std::int64_t{40}}}));
  // Each gets what its own consumer is sent, and stays when another one ends.
  first.consumer = wanted[1].consumer.id;
  first.tag = 2;
  deliver({first});
  CAF_CHECK_EQUAL(seen->trades.size(), 1u);
  CAF_CHECK_EQUAL(again->trades.size(), 1u);
  CAF_CHECK(later->trades.empty());
  caf::anon_send_exit(strategies[0], caf::exit_reason::user_shutdown);
  sched.run();
  first.tag = 3;
  first.properties.headers = {{"x-stream-offset", std::int64_t{41}}};
  deliver({first});
  CAF_CHECK_EQUAL(again->trades.size(), 2u);
  CAF_CHECK(subscribe(eth_trades().on_durable_queue("log"))->error);
}

// RabbitMQ ends the connection of whoever gives back to a stream.
CAF_TEST(whatever fails of a stream is acknowledged) {
  auto seen = subscribed_strategy(eth_trades().on_stream("log").on_error(error_policy::reject));
  seen->failing = true;
  deliver({delivery(1, body(some_trade(1))), delivery(2, "no zlib stream")});
  unsubscribe(last_answer->ok->id);
  deliver({delivery(3, body(some_trade(3)))});
  for (auto& x : settled())
    CAF_CHECK(x.outcome == verdict::ack);
}

CAF_TEST(a strategy that asks for it is told of lost and restored links) {
  auto seen = subscribed_strategy(eth_trades().with_stream_events());
  auto unaware = subscribed_strategy(eth_trades());
  const consumers_lost lost{{ec::connection_lost, "gone"}, consumer_ids};
  for (auto i = 0; i < 2; ++i) {
    caf::anon_send(sut, lost); // the second says nothing new
    sched.run();
  }
  CAF_CHECK(seen->events == std::vector<std::string>{"lost connection_lost: gone"});
  const auto& x = wanted.at(0);
  caf::anon_send(sut, consumer_state{x.consumer.id, x.queue.name, x.binding, {}});
  sched.run();
  CAF_CHECK(seen->events == (std::vector<std::string>{"lost connection_lost: gone", "restored"}));
  CAF_CHECK(unaware->events.empty());
}

CAF_TEST(a fault of the dispatcher costs its links and no subscription) {
  auto seen = subscribed_strategy(eth_trades().acked(ack_policy::on_success).with_stream_events());
  link->throws = true;
  deliver({delivery(1, body(some_trade()))});
  CAF_CHECK(renewed == (std::vector{link_role::consuming, link_role::quarantine}));
  CAF_CHECK(seen->events
            == std::vector<std::string>{
                "lost handler_failed: the dispatcher failed with a message: a fault"});
  CAF_CHECK(settled().empty());
  // The next link brings the consumer back, and the delivery.
  caf::anon_send(sut, consumer_state{consumer_ids.back(), "q", wanted.back().binding, {}});
  deliver({delivery(1, body(some_trade()))}, 2);
  CAF_CHECK_EQUAL(seen->events.back(), "restored");
  CAF_CHECK_EQUAL(seen->trades.size(), 2u);
  CAF_CHECK(settled() == (settlements{{1, verdict::ack}}));
}

// -- a place that is kept ------------------------------------------------------------------

CAF_TEST(the place of a strategy that is away is kept for five seconds) {
  const auto what = eth_trades().on_durable_queue("orders").acked(ack_policy::on_success);
  auto stays = subscribed_strategy(what);
  subscribed_strategy(what);
  end_last_strategy();
  deliver({delivery(1, body(some_trade(1)))});
  CAF_CHECK(stays->trades == list{1});
  CAF_CHECK(settled().empty());
  CAF_CHECK_EQUAL(status().handlers.size(), 1u);
  advance(4900ms);
  CAF_CHECK(settled().empty());
  advance(500ms);
  CAF_CHECK(settled() == (settlements{{1, verdict::ack}}));
  deliver({delivery(2, body(some_trade(2)))});
  CAF_CHECK(settled() == (settlements{{2, verdict::ack}}));
  auto late = subscribed_strategy(what);
  CAF_CHECK(late->trades.empty());
}

CAF_TEST(a message that both fail with goes back once) {
  const auto what = eth_trades().on_durable_queue("orders").acked(ack_policy::on_success);
  subscribed_strategy(what)->failing = true;
  subscribed_strategy(what);
  end_last_strategy();
  deliver({delivery(1, body(some_trade(1)))});
  auto back = subscribed_strategy(what);
  CAF_CHECK(back->trades == list{1});
  CAF_CHECK(settled() == (settlements{{1, verdict::requeue}}));
  CAF_CHECK_EQUAL(status().handlers.size(), 2u);
}

CAF_TEST(what waits for a strategy that is away comes again when the link falls) {
  const auto what = eth_trades().on_durable_queue("orders").acked(ack_policy::on_success);
  auto stays = subscribed_strategy(what);
  subscribed_strategy(what);
  end_last_strategy();
  deliver({numbered(delivery(1, body(some_trade(1))), 1)});
  caf::anon_send(sut, consumers_lost{{ec::connection_lost, "gone"}, {consumer_ids.back()}});
  sched.run();
  settled(); // of no effect
  deliver({numbered(delivery(1, body(some_trade(1))), 1)}, 2);
  CAF_CHECK(settled().empty());
  auto back = subscribed_strategy(what);
  CAF_CHECK(stays->trades == list{1});
  CAF_CHECK(back->trades == list{1});
  CAF_CHECK(settled() == (settlements{{1, verdict::ack}}));
}

CAF_TEST(a place goes with the last strategy that is refused) {
  const auto what = eth_trades().on_durable_queue("orders").acked(ack_policy::on_success);
  subscribed_strategy(what);
  auto ends = strategies.back();
  add_strategy();
  auto refused = subscribe(trades("binance", "BTC/USDT")
                               .prefetch(10)
                               .on_durable_queue("orders")
                               .acked(ack_policy::on_success));
  caf::anon_send_exit(ends, caf::exit_reason::user_shutdown);
  sched.run();
  caf::anon_send(
      sut, consumer_state{consumer_ids.back(), "orders", std::nullopt, {ec::access_refused, "no"}});
  sched.run();
  CAF_CHECK(code_of(refused->error) == ec::access_refused);
  CAF_CHECK(renewed.empty());
  CAF_CHECK(status().handlers.empty());
}

CAF_TEST(nothing waits for who is away once nobody is left) {
  const auto what = eth_trades().on_durable_queue("orders").acked(ack_policy::on_success);
  subscribed_strategy(what);
  subscribed_strategy(what);
  end_last_strategy();
  deliver({delivery(1, body(some_trade(1)))});
  strategies.pop_back();
  end_last_strategy();
  CAF_CHECK(settled() == (settlements{{1, verdict::release}}));
  CAF_CHECK(status().handlers.empty());
}

CAF_TEST_FIXTURE_SCOPE_END()
