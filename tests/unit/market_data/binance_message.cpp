#define CAF_SUITE market_data.binance_message

#include "market_data/binance_message.hpp"

#include "actors/error.hpp"
#include "actors/event_type.hpp"

#include "caf/test/dsl.hpp"

using namespace market_data;

namespace {

constexpr std::chrono::nanoseconds received{1'723'161'254'236'551'067};

struct fixture {
  conversion how;

  template <class T>
  T convert(std::string_view text) {
    auto result = from_binance(text, received, how);
    CAF_REQUIRE(result);
    auto* event = std::get_if<market_event>(&*result);
    CAF_REQUIRE(event && std::holds_alternative<T>(*event));
    return std::get<T>(*event);
  }

  std::string skipped(std::string_view text) {
    auto result = from_binance(text, received, how);
    CAF_REQUIRE(result);
    auto* what = std::get_if<not_an_event>(&*result);
    return what ? what->what : "an event";
  }
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(binance_message_tests, fixture)

CAF_TEST(a partial book becomes an order book of the wanted length with the receive time) {
  how.levels = 2;
  const auto x = convert<actors::orderbook>(
      R"({"stream":"btcusdt@depth20","data":{"lastUpdateId":1,)"
      R"("bids":[["61837.63000000","3.78"],["61837.62000000","0.6"],["61837.24","1"]],)"
      R"("asks":[["61837.64000000","1.50"],["61838.00000000","2"],["61839","1"]]}})");
  CAF_CHECK_EQUAL(actors::data_of(x),
                  R"({"p": "binance", "s": "BTC/USDT", )"
                  R"("a": [["61837.64000000", "1.50"], ["61838.00000000", "2"]], )"
                  R"("b": [["61837.63000000", "3.78"], ["61837.62000000", "0.6"]], )"
                  R"("t": 1723161254236})");
}

CAF_TEST(a trade keeps its numbers to the letter and has the action of the taker) {
  const auto x = convert<actors::trade>(
      R"({"stream":"btcusdt@trade","data":{"e":"trade","E":5,"s":"BTCUSDT","t":3735683259,)"
      R"("p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}})");
  CAF_CHECK_EQUAL(x.symbol, "BTC/USDT");
  CAF_CHECK(x.action == actors::trade_action::sell);
  CAF_CHECK_EQUAL(x.price.text(), "61837.63000000");
  CAF_CHECK_EQUAL(x.quantity.text(), "0.02000000");
  CAF_CHECK_EQUAL(x.timestamp, 1'723'161'255'342);
  const auto y = convert<actors::trade>(
      R"({"stream":"ctkusdt@aggTrade","data":{"e":"aggTrade","a":16599292,"s":"CTKUSDT",)"
      R"("p":"1.01100","q":"10","f":1,"l":1,"T":1626992741421,"m":false}})");
  CAF_CHECK(y.action == actors::trade_action::buy);
  CAF_CHECK_EQUAL(y.symbol, "CTK/USDT");
}

CAF_TEST(a kline has the quote volume and the type of AIOQuant) {
  const std::string text =
      R"({"stream":"ethbtc@kline_1m","data":{"e":"kline","s":"ETHBTC","k":{"t":1626992700000,)"
      R"("i":"1m","o":"1.01","c":"1.04","h":"1.05","l":"1.00","v":"3917","q":"3957.89900"}}})";
  const auto x = convert<actors::kline>(text);
  CAF_CHECK_EQUAL(x.symbol, "ETH/BTC");
  CAF_CHECK_EQUAL(x.open.text() + " " + x.high.text() + " " + x.low.text() + " " + x.close.text(),
                  "1.01 1.05 1.00 1.04");
  CAF_CHECK_EQUAL(x.volume.text(), "3957.89900");
  CAF_CHECK_EQUAL(x.timestamp, 1'626'992'700'000);
  CAF_CHECK_EQUAL(x.kline_type, "kline");
  auto five_minutes = text;
  five_minutes.replace(five_minutes.find("1m\",\"o"), 2, "5m");
  CAF_CHECK_EQUAL(convert<actors::kline>(five_minutes).kline_type, "kline_5m");
}

CAF_TEST(what stands for no event is told by name) {
  CAF_CHECK_EQUAL(skipped(R"({"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate"}})"),
                  "depth@100ms");
  CAF_CHECK_EQUAL(skipped(R"({"stream":"btcusdt@bookTicker","data":{}})"), "bookTicker");
  CAF_CHECK_EQUAL(skipped(R"({"lastUpdateId":1,"bids":[],"asks":[]})"), "other messages");
  CAF_CHECK_EQUAL(skipped("[1]"), "malformed JSON");
  CAF_CHECK_EQUAL(skipped(R"({"stream":"btcusdt@tr)"), "malformed JSON");
}

CAF_TEST(a message with a wrong or missing part is no event) {
  for (auto text : {R"({"stream":"btcusdt@trade","data":{"q":"1","T":1,"m":true}})",
                    R"({"stream":"btcusdt@trade","data":{"p":"cheap","q":"1","T":1,"m":true}})",
                    R"({"stream":"btcusdt@trade","data":{"p":"1","q":"1","T":"now","m":true}})",
                    R"({"stream":"btcusdt@trade","data":{"p":"1","q":"1","T":1}})"})
    CAF_CHECK_EQUAL(skipped(text), "malformed trade");
  CAF_CHECK_EQUAL(skipped(R"({"stream":"btcusdt@depth20","data":{"bids":[["1"]],"asks":[]}})"),
                  "malformed depth20");
  CAF_CHECK_EQUAL(skipped(R"({"stream":"btcusdt@kline_1m","data":{"k":1}})"), "malformed kline_1m");
}

CAF_TEST(a symbol is split before its quote currency unless it is named) {
  symbol_names by_rule;
  CAF_CHECK_EQUAL(*by_rule.of("BTCUSDT"), "BTC/USDT");
  CAF_CHECK_EQUAL(*by_rule.of("BTCFDUSD"), "BTC/FDUSD");
  CAF_CHECK_EQUAL(*by_rule.of("LRCBTC"), "LRC/BTC");
  CAF_CHECK_EQUAL(*by_rule.of("ETHUSD_PERP"), "ETHUSD_PERP");
  CAF_CHECK_EQUAL(*by_rule.of("USDT"), "USDT");
  symbol_names by_map{{}, {{"ETHUSD_PERP", "ETH/USD"}}};
  CAF_CHECK_EQUAL(*by_map.of("ETHUSD_PERP"), "ETH/USD");
  CAF_CHECK_EQUAL(*by_map.of("BTCUSDT"), "BTC/USDT");
}

CAF_TEST(one name is not given to two symbols) {
  symbol_names names{"BTC/USD"};
  CAF_CHECK_EQUAL(*names.of("BTCUSDT"), "BTC/USD");
  CAF_CHECK_EQUAL(*names.of("BTCUSDT"), "BTC/USD");
  auto second = names.of("ETHUSDT");
  CAF_REQUIRE(!second);
  CAF_CHECK(actors::text_of(second.error()).find("ETHUSDT") != std::string::npos);
}

CAF_TEST_FIXTURE_SCOPE_END()
