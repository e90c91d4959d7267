#define CAF_SUITE subscription

#include "actors/subscription.hpp"

#include <string>

#include "actors/error.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;

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
  CAF_CHECK_EQUAL(x.kline_type, "kline_5m");
  CAF_CHECK_EQUAL(problem(x), "none");
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

CAF_TEST(what contradicts itself is refused) {
  CAF_CHECK_EQUAL(problem(trades("okx", "#").acked(ack_policy::on_success).multi()),
                  "invalid_argument: subscription 'Trade:okx.#': no_ack forgets each message on "
                  "sending it, so its handler's answer cannot requeue: choose one");
  CAF_CHECK_EQUAL(problem(trades("okx", "BTC/USDT").of_type("kline_5m")),
                  "invalid_argument: subscription 'Trade:okx.BTC/USDT': only klines have a type, "
                  "so 'kline_5m' would match nothing");
  auto x = trades("okx", "BTC/USDT");
  x.codec = {};
  CAF_CHECK_EQUAL(problem(x), "invalid_argument: subscription 'Trade:okx.BTC/USDT': its codec has "
                              "no decode function");
}
