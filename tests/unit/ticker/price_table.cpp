#define CAF_SUITE ticker.price_table

#include "ticker/price_table.hpp"

#include <algorithm>

#include "caf/test/dsl.hpp"

using namespace std::chrono_literals;

namespace {

actors::decimal number(std::string_view text) {
  auto result = actors::decimal::parse(text);
  CAF_REQUIRE(result);
  return *result;
}

struct fixture {
  ticker::price_table table;
  ticker::price_table::clock::time_point now = ticker::price_table::clock::now();

  void book(std::string_view bid, std::string_view ask) {
    actors::orderbook x;
    x.platform = "binance";
    x.symbol = "BTC/USDT";
    if (!bid.empty())
      x.bids = {{number(bid), number("1")}, {number("1"), number("1")}};
    if (!ask.empty())
      x.asks = {{number(ask), number("1")}, {number("99999"), number("1")}};
    table.update(x, now);
  }

  void trade(std::string symbol, std::string_view price,
             actors::trade_action action = actors::trade_action::buy) {
    actors::trade x;
    x.platform = "binance";
    x.symbol = std::move(symbol);
    x.action = action;
    x.price = number(price);
    x.quantity = number("0.50000000");
    table.update(x, now);
  }

  void kline(std::string_view close) {
    actors::kline x;
    x.platform = "binance";
    x.symbol = "BTC/USDT";
    x.close = number(close);
    table.update(x, now);
  }

  std::string only_change() {
    const auto changes = table.changes();
    CAF_REQUIRE_EQUAL(changes.size(), 1u);
    return changes.front();
  }

  bool shows(const std::string& text) const {
    for (const auto& line : table.lines(now, 10))
      if (line.find(text) != std::string::npos)
        return true;
    return false;
  }
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(price_table_tests, fixture)

CAF_TEST(a row joins the latest of book and trade) {
  trade("BTC/USDT", "8680.65", actors::trade_action::sell);
  book("8680.60000000", "8680.70000000");
  CAF_CHECK_EQUAL(only_change(), "binance BTC/USDT  bid 8680.6  ask 8680.7  spread 0.1  "
                                 "last 8680.65 SELL 0.5  0.0 events/s");
}

CAF_TEST(only what changed since the last look is a change) {
  trade("BTC/USDT", "1");
  trade("ETH/USDT", "2");
  CAF_CHECK_EQUAL(table.changes().size(), 2u);
  CAF_CHECK(table.changes().empty());
  trade("ETH/USDT", "3");
  CAF_CHECK(only_change().find("binance ETH/USDT") == 0);
}

CAF_TEST(a side that is empty has no price and no spread) {
  book("8680.60", "");
  CAF_CHECK(only_change().find("bid 8680.6  ask -  spread -  last -") != std::string::npos);
  book("", "");
  CAF_CHECK(only_change().find("bid -  ask -  spread -") != std::string::npos);
}

CAF_TEST(the last price is the close of a candle until there is a trade) {
  kline("8680.10");
  CAF_CHECK(only_change().find("last 8680.1 close") != std::string::npos);
  trade("BTC/USDT", "8680.20");
  kline("8680.30");
  CAF_CHECK(only_change().find("last 8680.2 BUY 0.5") != std::string::npos);
}

CAF_TEST(prices lose the zeros behind the point and no others) {
  for (auto [text, shown] : {std::pair{"100", "100"},
                             {"100.00", "100"},
                             {"0.10", "0.1"},
                             {"0.00", "0"},
                             {"1.50e10", "1.50e10"}}) {
    trade("BTC/USDT", text);
    const auto line = only_change();
    CAF_CHECK_EQUAL(line.substr(line.find("last ") + 5, std::string_view{shown}.size() + 1),
                    std::string{shown} + ' ');
  }
}

CAF_TEST(an event of another type is counted under its exchange and key) {
  actors::event x;
  x.exchange = "Funding";
  x.routing_key = "binance.BTC/USDT";
  table.update(x, now);
  CAF_CHECK(only_change().find("Funding binance.BTC/USDT  bid -") == 0);
}

CAF_TEST(rates are events per second since the last count) {
  table.count_rates(now);
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 10; ++i)
      trade("BTC/USDT", "1");
    now += 2s;
    table.count_rates(now);
    CAF_CHECK(only_change().find("  5.0 events/s") != std::string::npos);
  }
  now += 2s;
  table.count_rates(now);
  CAF_CHECK(shows(" 0.0 "));
}

CAF_TEST(the age is that of the last event) {
  trade("BTC/USDT", "1");
  now += 1500ms;
  CAF_CHECK(shows(" 1.5 s"));
  book("1", "2");
  CAF_CHECK(shows(" 0.0 s"));
}

CAF_TEST(a table has a title and says how many rows it leaves out) {
  for (auto symbol : {"A", "B", "C", "D"})
    trade(symbol, "1");
  const auto cut = table.lines(now, 2);
  CAF_REQUIRE_EQUAL(cut.size(), 4u);
  CAF_CHECK(cut[0].find("platform") == 0);
  CAF_CHECK(cut[2].find("binance      B ") == 0);
  CAF_CHECK_EQUAL(cut[3], "... and 2 more");
  CAF_CHECK_EQUAL(table.lines(now, 4).size(), 5u);
}

CAF_TEST(a table fits its width and shows no part of a number) {
  trade("BTC/USDT", "61839.82", actors::trade_action::sell);
  book("61839.820000001", "61839.83");
  trade("SHIB1000/USDT", "0.0000123456");
  trade("币/USDT", "1");
  for (std::size_t width = 0; width <= 130; ++width)
    for (const auto& line : table.lines(now, 2, width)) {
      auto characters = std::ranges::count_if(
          line, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
      CAF_CHECK_LESS_OR_EQUAL(static_cast<std::size_t>(characters), width);
    }
  auto narrow = table.lines(now, 10, 80);
  CAF_CHECK_EQUAL(narrow[0],
                  "platform symbol                    bid      ask                 last events/s");
  CAF_CHECK_EQUAL(narrow[1],
                  "binance  BTC/USDT      61839.820000001 61839.83    61839.82 SELL 0.5      0.0");
  auto narrower = table.lines(now, 10, 45);
  CAF_CHECK_EQUAL(narrower[1], "BTC/USDT      61839.820000001 61839.83");
  CAF_CHECK(table.lines(now, 10, 130)[0].ends_with("events/s     age"));
}

CAF_TEST_FIXTURE_SCOPE_END()
