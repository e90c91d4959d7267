#define CAF_SUITE market_data.simulated_market

#include "market_data/simulated_market.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "actors/event_type.hpp"

#include "caf/test/dsl.hpp"

using namespace market_data;
using namespace std::chrono_literals;

namespace {

std::vector<timed_event> take(simulation_settings settings, std::size_t count) {
  simulated_market market{std::move(settings)};
  std::vector<timed_event> result;
  for (std::size_t i = 0; i < count; ++i) {
    auto next = market.next();
    CAF_REQUIRE(next && *next);
    result.push_back(std::move(**next));
  }
  return result;
}

std::string text_of(const market_event& x) {
  return std::visit(
      []<class T>(const T& y) -> std::string {
        if constexpr (std::is_same_v<T, actors::event>)
          return y.data.text();
        else
          return actors::data_of(y);
      },
      x);
}

std::string texts_of(const std::vector<timed_event>& xs) {
  std::string result;
  for (const auto& x : xs)
    result += text_of(x.what) + "\n";
  return result;
}

} // namespace

CAF_TEST(equal seeds make equal markets) {
  simulation_settings settings;
  const auto first = texts_of(take(settings, 2'000));
  CAF_CHECK(first == texts_of(take(settings, 2'000)));
  settings.seed = 2;
  CAF_CHECK(first != texts_of(take(settings, 2'000)));
}

CAF_TEST(events come at the rate of the clock) {
  simulation_settings settings;
  settings.rate = 1'000;
  settings.start = 5'000ms;
  const auto events = take(settings, 1'001);
  CAF_CHECK(events.front().at == 5s);
  CAF_CHECK(events.back().at == 6s);
  CAF_CHECK(std::ranges::is_sorted(events, {}, &timed_event::at));
}

CAF_TEST(books are never crossed and have their levels in order) {
  simulation_settings settings;
  settings.levels = 20;
  std::size_t books = 0;
  for (const auto& x : take(settings, 5'000)) {
    const auto* book = std::get_if<actors::orderbook>(&x.what);
    if (!book)
      continue;
    ++books;
    CAF_REQUIRE_EQUAL(book->asks.size(), 20u);
    CAF_REQUIRE_EQUAL(book->bids.size(), 20u);
    const auto price = [](const actors::level& y) { return y.price.value(); };
    CAF_REQUIRE(price(book->bids.front()) < price(book->asks.front()));
    CAF_REQUIRE(std::ranges::adjacent_find(book->asks, std::greater_equal{}, price)
                == book->asks.end());
    CAF_REQUIRE(std::ranges::adjacent_find(book->bids, std::less_equal{}, price)
                == book->bids.end());
    CAF_REQUIRE(book->asks.back().quantity.value() > 0);
  }
  CAF_CHECK(books > 2'000);
}

CAF_TEST(trades happen at the best prices of the last book) {
  std::map<std::string, actors::orderbook> books;
  std::size_t trades = 0;
  for (const auto& x : take({}, 5'000)) {
    if (const auto* book = std::get_if<actors::orderbook>(&x.what))
      books[book->symbol] = *book;
    const auto* trade = std::get_if<actors::trade>(&x.what);
    if (!trade)
      continue;
    ++trades;
    const auto& book = books.at(trade->symbol);
    const auto& best = trade->action == actors::trade_action::buy ? book.asks : book.bids;
    CAF_REQUIRE_EQUAL(trade->price.text(), best.front().price.text());
  }
  CAF_CHECK(trades > 1'000);
}

CAF_TEST(the klines of a minute are those of its trades) {
  simulation_settings settings;
  settings.symbols = {"BTC/USDT"};
  settings.rate = 50;
  std::map<std::int64_t, std::vector<actors::trade>> trades;
  std::map<std::int64_t, actors::kline> closed;
  for (const auto& x : take(settings, 10'000)) {
    if (const auto* trade = std::get_if<actors::trade>(&x.what))
      trades[trade->timestamp - trade->timestamp % 60'000].push_back(*trade);
    if (const auto* kline = std::get_if<actors::kline>(&x.what))
      closed[kline->timestamp] = *kline;
  }
  // 10,000 events at 50 a second: three whole minutes, and a part of a fourth.
  CAF_REQUIRE_EQUAL(closed.size(), 4u);
  closed.erase(std::prev(closed.end()));
  for (const auto& [minute, candle] : closed) {
    const auto& in = trades.at(minute);
    const auto price = [](const actors::trade& x) { return x.price.value(); };
    CAF_CHECK_EQUAL(candle.open.text(), in.front().price.text());
    CAF_CHECK_EQUAL(candle.close.text(), in.back().price.text());
    CAF_CHECK_EQUAL(candle.high.value(), price(*std::ranges::max_element(in, {}, price)));
    CAF_CHECK_EQUAL(candle.low.value(), price(*std::ranges::min_element(in, {}, price)));
    CAF_CHECK_EQUAL(candle.kline_type, "kline");
  }
}

CAF_TEST(a market without symbols has nothing to tell) {
  simulation_settings settings;
  settings.symbols.clear();
  simulated_market market{settings};
  auto next = market.next();
  CAF_CHECK(next && !*next);
}
