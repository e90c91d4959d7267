#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <random>
#include <string>
#include <vector>

#include "market_data/feed.hpp"

namespace market_data {

struct simulation_settings {
  std::string platform = "simulated";
  std::vector<std::string> symbols{"BTC/USDT", "ETH/USDT", "SOL/USDT"};
  /// Equal seeds and settings make equal markets.
  std::uint64_t seed = 1;
  /// Events per second of the market's own clock.
  double rate = 100.0;
  /// The length of order books on either side.
  std::size_t levels = 10;
  /// When the market opens, since 1970.
  std::chrono::milliseconds start{0};
};

/// A market that never was: prices walk at random, in proportion to themselves;
/// order books stand around them, trades hit the best prices, and klines of one
/// minute are made of the trades (updated every two seconds and at their end,
/// as exchanges do). It has no end.
class simulated_market final : public feed {
public:
  explicit simulated_market(simulation_settings settings);

  caf::expected<std::optional<timed_event>> next() override;

private:
  struct instrument {
    std::string symbol;
    /// The price in dollars, and how many decimals it is quoted with.
    double mid = 100.0;
    int decimals = 2;
    /// The best prices of the last book, in units of the last decimal.
    std::int64_t best_bid = 0;
    std::int64_t best_ask = 0;
    /// When the price last moved.
    std::chrono::nanoseconds moved_at{0};
    /// The candle of the current minute, in dollars; no trades: no candle.
    std::int64_t trades = 0;
    std::chrono::milliseconds minute{0};
    std::chrono::milliseconds reported_at{0};
    double open = 0;
    double high = 0;
    double low = 0;
    double close = 0;
    double volume = 0;
  };

  actors::orderbook make_book(instrument& x);
  actors::kline make_kline(const instrument& x) const;
  void move_price(instrument& x);
  void trade(instrument& x);
  void close_candle(instrument& x, std::chrono::milliseconds this_minute);
  void add_to_candle(instrument& x, double price, double quantity);
  std::int64_t between(std::int64_t low, std::int64_t high);
  double quantity();

  simulation_settings settings_;
  std::mt19937_64 random_;
  std::vector<instrument> instruments_;
  std::chrono::nanoseconds now_{0};
  std::uint64_t count_ = 0;
  /// Events of the same moment that come after the last one.
  std::deque<market_event> pending_;
};

} // namespace market_data
