#define CAF_SUITE ticker.subscriptions

#include "ticker/subscriptions.hpp"

#include "actors/error.hpp"

#include "caf/test/dsl.hpp"

CAF_TEST(a key is an exchange and a routing key that may hold colons and wildcards) {
  for (auto typed : {false, true})
    for (auto [key, exchange, routing_key] :
         {std::tuple{"Orderbook:#", "Orderbook", "#"},
          {"Trade:binance.BTC/USDT", "Trade", "binance.BTC/USDT"},
          {"Kline:*.a:b", "Kline", "*.a:b"},
          {"Own:x", "Own", "x"}}) {
      const auto x = ticker::parse_key(key, typed);
      CAF_REQUIRE(x);
      CAF_CHECK_EQUAL(x->exchange, exchange);
      CAF_CHECK_EQUAL(x->routing_key, routing_key);
    }
}

CAF_TEST(a key without exchange or routing key is refused by name) {
  for (auto key : {"", ":", "Trade", "Trade:", ":binance.#"}) {
    const auto x = ticker::parse_key(key, true);
    CAF_REQUIRE(!x);
    CAF_CHECK(actors::text_of(x.error()).find("'" + std::string{key} + "'") != std::string::npos);
  }
}

CAF_TEST(a key longer than a broker takes is refused) {
  CAF_CHECK(!ticker::parse_key("Trade:" + std::string(256, 'x'), true));
}
