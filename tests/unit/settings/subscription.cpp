#define CAF_SUITE subscription

#include "actors/subscription.hpp"

#include <string>

#include "actors/error.hpp"
#include "settings/subscription_queues.hpp"
#include "topology/delivery_limit.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace std::chrono_literals;

namespace {

std::string problem(const subscription& x) {
  auto err = check(x);
  return err ? to_string(to_failure(err)) : "none";
}

} // namespace

CAF_TEST(market data of a platform and a symbol) {
  auto x = orderbooks("binance", "ETH/USDT");
  CAF_CHECK_EQUAL(x.exchange, "Orderbook");
  CAF_CHECK_EQUAL(x.routing_key, "binance.ETH/USDT");
  CAF_CHECK(!x.queue);
  CAF_CHECK_EQUAL(x.prefetch_count, 1u);
  CAF_CHECK(!x.no_ack);
  CAF_CHECK(x.ack == ack_policy::on_dispatch);
  CAF_CHECK(x.codec == codec_of<orderbook>());
  CAF_CHECK(trades("okx", "BTC/USDT").exchange == "Trade");
  CAF_CHECK(klines("okx", "BTC/USDT").exchange == "Kline");
  CAF_CHECK_EQUAL(problem(x), "none");
}

CAF_TEST(a wildcard is multi as in AIOQuant) {
  CAF_CHECK(trades("#", "#").routing_key == "#.#");
  CAF_CHECK(trades("#", "#").no_ack);
  CAF_CHECK(trades("okx", "#").no_ack);
  CAF_CHECK(trades("#", "BTC/USDT").no_ack);
  CAF_CHECK(!trades("okx", "*").no_ack);
  CAF_CHECK(!trades("okx", "#").multi(false).no_ack);
}

CAF_TEST(refinements are chained) {
  auto x = klines("okx", "BTC/USDT")
               .on_queue("audit")
               .prefetch(100)
               .acked(ack_policy::on_success)
               .of_type("kline_5m");
  CAF_CHECK_EQUAL(*x.queue, "audit");
  CAF_CHECK_EQUAL(x.prefetch_count, 100u);
  CAF_CHECK(x.ack == ack_policy::on_success);
  CAF_CHECK_EQUAL(x.subject, "kline_5m");
  CAF_CHECK_EQUAL(problem(x), "none");
}

CAF_TEST(variables and temporaries are refined alike) {
  const auto base = trades("okx", "BTC/USDT");
  auto x = base.prefetch(10);
  CAF_CHECK_EQUAL(base.prefetch_count, 1u);
  x = x.on_queue("audit");
  x = std::move(x).acked(ack_policy::on_success);
  CAF_CHECK_EQUAL(x.exchange, "Trade");
  CAF_CHECK_EQUAL(x.routing_key, "okx.BTC/USDT");
  CAF_CHECK_EQUAL(*x.queue, "audit");
  CAF_CHECK_EQUAL(x.prefetch_count, 10u);
  auto&& y = trades("okx", "BTC/USDT").prefetch(20);
  CAF_CHECK_EQUAL(y.routing_key, "okx.BTC/USDT");
}

CAF_TEST(what has no effect is refused) {
  auto ends = [](const subscription& x, std::string_view text) {
    return problem(x).ends_with(text);
  };
  constexpr auto no_prefetch = "leave one out, no_ack by multi(false)";
  CAF_CHECK(ends(trades("okx", "#").prefetch(10), no_prefetch));
  CAF_CHECK(ends(trades("okx", "BTC/USDT").prefetch(10).multi(), no_prefetch));
  CAF_CHECK_EQUAL(problem(trades("okx", "#").multi(false).prefetch(10)), "none");
  CAF_CHECK_EQUAL(problem(trades("okx", "#").prefetch(10).acked(ack_policy::on_success)), "none");
  CAF_CHECK(ends(trades("okx", "BTC/USDT")
                     .acked(ack_policy::on_success)
                     .keeping(delivery_policy::latest_per_key),
                 "so keeping has no effect: leave it out"));
  CAF_CHECK(
      ends(trades("okx", "BTC/USDT").on_error(error_policy::reject).acked(ack_policy::on_dispatch),
           "acknowledge on success or leave it out"));
  CAF_CHECK(ends(trades("okx", "BTC/USDT").within(-1ms), "are 0 or more"));
}

CAF_TEST(events of any name) {
  auto x = subscription::to_events("Signals", "a.*");
  CAF_CHECK_EQUAL(x.exchange, "Signals");
  CAF_CHECK_EQUAL(x.routing_key, "a.*");
  CAF_CHECK(x.codec == generic_codec());
  CAF_CHECK_EQUAL(problem(x), "none");
}

CAF_TEST(names have a length) {
  std::string longest(255, 'x');
  CAF_CHECK_EQUAL(problem(subscription::to_events(longest, longest).on_queue(longest)), "none");
  CAF_CHECK_EQUAL(problem(subscription::to_events("E", "#").on_queue("")), "none");
  CAF_CHECK_EQUAL(problem(subscription::to_events("", "#")),
                  "invalid_argument: subscription ':#': the exchange has no name: give one such "
                  "as 'Orderbook'");
  CAF_CHECK_EQUAL(problem(subscription::to_events("E", longest + 'x')),
                  "invalid_argument: subscription to exchange 'E': the routing key has 256 bytes, "
                  "allowed are 255");
  CAF_CHECK_EQUAL(problem(subscription::to_events("E", "#").on_queue(longest + 'x')),
                  "invalid_argument: subscription to exchange 'E': the queue's name has 256 "
                  "bytes, allowed are 255");
  CAF_CHECK(problem(subscription::to_events(longest + 'x', "#")).ends_with("allowed are 255"));
}

// What no handler is for goes there, of which nobody would learn that it cannot be made.
CAF_TEST(the name of a queue that is kept leaves room for the queue of unmatched messages) {
  const auto x = subscription::to_events("E", "#");
  const std::string longest(245, 'x');
  for (auto& name : {longest + 'x', longest + std::string(10, 'x')}) {
    for (auto& y : {x.on_durable_queue(name), x.on_quorum_queue(name),
                    x.on_durable_queue(name).acked(ack_policy::on_success)})
      CAF_CHECK(problem(y).ends_with("the queue's name leaves no room for the names of the queues "
                                     "beside it: shorten it"));
    CAF_CHECK_EQUAL(problem(x.on_queue(name)), "none");
    CAF_CHECK_EQUAL(problem(x.on_durable_queue(name).multi()), "none");
    CAF_CHECK_EQUAL(problem(x.on_stream(name)), "none");
  }
  CAF_CHECK_EQUAL(problem(x.on_durable_queue(longest)), "none");
}

// RabbitMQ would close the connection of all others for it.
CAF_TEST(what cannot be said to a broker is refused) {
  for (auto& x : {trades("okx", "BTC\xFF"), trades("okx", "BTC").on_queue("q\xFF"),
                  subscription::to_events("Tr\nade", "#"),
                  trades("okx", "BTC").on_stream("log", std::string{"yesterday"})})
    CAF_CHECK(problem(x).starts_with("invalid_argument: subscription"));
}

CAF_TEST(what contradicts itself is refused) {
  CAF_CHECK_EQUAL(problem(trades("okx", "#").acked(ack_policy::on_success).multi()),
                  "invalid_argument: subscription 'Trade:okx.#': no_ack forgets each message on "
                  "sending it, so its handler's answer cannot requeue: choose one");
  CAF_CHECK_EQUAL(problem(trades("okx", "BTC/USDT").of_type("kline_5m")),
                  "invalid_argument: subscription 'Trade:okx.BTC/USDT': its events have no "
                  "subject (subject_of), so 'kline_5m' would match nothing");
  auto x = trades("okx", "BTC/USDT");
  x.codec = {};
  CAF_CHECK_EQUAL(problem(x), "invalid_argument: subscription 'Trade:okx.BTC/USDT': its codec has "
                              "no decode function");
}

// -- queues ------------------------------------------------------------------------------

CAF_TEST(a queue has the arguments of its kind and limits) {
  auto x = trades("p", "s").on_quorum_queue("q").limited({.max_length = 1,
                                                          .max_length_bytes = 2,
                                                          .message_ttl = 3ms,
                                                          .expires = 4ms,
                                                          .delivery_limit = 5});
  CAF_CHECK_EQUAL(problem(x), "none");
  auto queue = queue_for(x, "q");
  CAF_CHECK(queue.durable && !queue.auto_delete && !queue.exclusive);
  CAF_CHECK(queue.arguments
            == (amqp::field_table{{"x-queue-type", std::string{"quorum"}},
                                  {"x-max-length", std::int64_t{1}},
                                  {"x-max-length-bytes", std::int64_t{2}},
                                  {"x-message-ttl", std::int64_t{3}},
                                  {"x-expires", std::int64_t{4}},
                                  {"x-delivery-limit", std::int64_t{5}},
                                  {"x-dead-letter-exchange", std::string{}},
                                  {"x-dead-letter-routing-key", std::string{"q.dead"}}}));
  CAF_CHECK(companion_queues(x, queue).at(0).name == "q.dead");
  CAF_CHECK(queue_for(trades("p", "s"), "q").arguments.empty());
}

// RabbitMQ 4 drops what comes back 21 times, unless it is told not to.
CAF_TEST(a quorum queue without a limit says so where the broker has one by default) {
  const auto x = queue_for(trades("p", "s").on_quorum_queue("q"), "q");
  const amqp::field_table quorum{{"x-queue-type", std::string{"quorum"}}};
  auto unlimited = quorum;
  unlimited.emplace_back("x-delivery-limit", std::int64_t{-1});
  CAF_CHECK(queue_on(x, "RabbitMQ 4.0.5").arguments == unlimited);
  CAF_CHECK(queue_on(x, "RabbitMQ 4.3.6").arguments == unlimited);
  for (auto broker : {"RabbitMQ 3.10.8", "in-process broker 3.10", "", "RabbitMQ", "LavinMQ 4"})
    CAF_CHECK(queue_on(x, broker).arguments == quorum);
  auto asked = trades("p", "s").on_quorum_queue("q").limited(
      {.delivery_limit = queue_limits::without_limit});
  CAF_CHECK_EQUAL(problem(asked), "none");
  CAF_CHECK(queue_for(asked, "q") == x);
  const auto limited =
      queue_for(trades("p", "s").on_quorum_queue("q").limited({.delivery_limit = 5}), "q");
  CAF_CHECK(queue_on(limited, "RabbitMQ 3.10.8") == limited);
  CAF_CHECK(warning_about(limited).empty());
  CAF_CHECK(!warning_about(x).empty());
}

CAF_TEST(dead letters can be consumed by a subscription of their queue) {
  const auto dead = companion_queues(trades("p", "s").on_quorum_queue("q").dead_lettered(),
                                     queue_for(trades("p", "s").on_quorum_queue("q"), "q"));
  CAF_CHECK(dead.back() == queue_for(trades("p", "s").on_quorum_queue("q.dead"), "q.dead"));
}

CAF_TEST(retries and dead letters have queues beside the queue) {
  auto x = trades("p", "s").on_durable_queue("q").retried({.delay = 5ms, .max_retries = 1});
  CAF_CHECK_EQUAL(problem(x), "none");
  CAF_CHECK(x.ack == ack_policy::on_success);
  auto queue = queue_for(x, "q");
  CAF_CHECK(queue.arguments
            == (amqp::field_table{{"x-queue-type", std::string{"classic"}},
                                  {"x-dead-letter-exchange", std::string{}},
                                  {"x-dead-letter-routing-key", std::string{"q.dead"}}}));
  auto beside = companion_queues(x, queue);
  CAF_REQUIRE_EQUAL(beside.size(), 2u);
  CAF_CHECK_EQUAL(beside[0].name, "q.retry.5");
  CAF_CHECK_EQUAL(beside[1].name, "q.dead");
  CAF_CHECK(companion_queues(trades("p", "s"), queue).empty());
}

CAF_TEST(a stream is a log to be read) {
  auto x = trades("p", "#").on_stream("log", std::string{"first"});
  CAF_CHECK_EQUAL(problem(x), "none");
  CAF_CHECK(queue_for(x, "log").arguments
            == (amqp::field_table{{"x-queue-type", std::string{"stream"}}}));
  CAF_CHECK(!x.no_ack && x.prefetch_count > 0);
}

CAF_TEST(queues that cannot be are refused) {
  auto ends = [](const subscription& x, std::string_view text) {
    return problem(x).ends_with(text);
  };
  CAF_CHECK(ends(trades("p", "s").retried(), "use on_durable_queue or on_quorum_queue"));
  CAF_CHECK(ends(trades("p", "s").on_queue("q").dead_lettered(),
                 "use on_durable_queue or on_quorum_queue"));
  CAF_CHECK(ends(trades("p", "s").on_durable_queue("q").limited({.delivery_limit = 1}),
                 "use on_quorum_queue"));
  CAF_CHECK(
      ends(trades("p", "s").on_durable_queue("q").retried({.delay = 0ms}), "1 to 100 retries"));
  CAF_CHECK(
      ends(trades("p", "s").on_durable_queue("q").retried({.factor = 0.5}), "1 to 100 retries"));
  CAF_CHECK(ends(trades("p", "s").on_durable_queue(std::string(250, 'q')).retried(), "shorten it"));
  CAF_CHECK(ends(trades("p", "s").on_stream("log").prefetch(0), "a prefetch count"));
  CAF_CHECK(ends(trades("p", "s").on_stream("log").retried(), "choose reject or dead_letter"));
  CAF_CHECK(ends(trades("p", "s").on_stream("log").limited({.message_ttl = 1ms}),
                 "max_length_bytes alone"));
}

CAF_TEST(a queue that is kept may serve one consumer at a time) {
  auto x = trades("p", "s").on_durable_queue("q").single_active_consumer();
  CAF_CHECK_EQUAL(problem(x), "none");
  CAF_CHECK(queue_for(x, "q").arguments
            == (amqp::field_table{{"x-queue-type", std::string{"classic"}},
                                  {"x-single-active-consumer", true}}));
  CAF_CHECK(!share_consumer(x, trades("p", "s").on_durable_queue("q")));
  CAF_CHECK(problem(trades("p", "s").single_active_consumer()).ends_with("on_quorum_queue"));
}

// Its messages would be lost to the queue that they are to come back to.
CAF_TEST(a queue that is beside another one cannot be subscribed) {
  for (auto name : {"orders.retry.500", "orders.unmatched"})
    CAF_CHECK(problem(trades("p", "s").on_durable_queue(name)).ends_with("name another queue"));
  for (auto name : {"orders.dead", "orders.retry", "orders.retry.x", "unmatched", "500"})
    CAF_CHECK_EQUAL(problem(trades("p", "s").on_durable_queue(name)), "none");
}

CAF_TEST(subscriptions that agree on their queue share a consumer) {
  const auto x = trades("p", "s").prefetch(10);
  CAF_CHECK(share_consumer(x, trades("p", "t").prefetch(10).acked(ack_policy::on_success)));
  CAF_CHECK(share_consumer(x, trades("p", "s").prefetch(10).on_error(error_policy::reject)));
  CAF_CHECK(!share_consumer(x, trades("p", "s")));
  CAF_CHECK(!share_consumer(x, trades("p", "s").multi()));
  CAF_CHECK(!share_consumer(x, trades("p", "s").prefetch(10).limited({.max_length = 1})));
  CAF_CHECK(!share_consumer(x, trades("p", "s").prefetch(10).on_durable_queue("q")));
  CAF_CHECK(!share_consumer(trades("p", "s").on_durable_queue("q").retried(),
                            trades("p", "s").on_durable_queue("q").dead_lettered()));
}
