#pragma once

#include <cstdint>

#include "actors/market.hpp"

namespace demo {

/// One symbol on paper: our quotes, and what came of them.
struct paper_account {
  double mid = 0;
  /// Our quotes, and the mid price that they were made for.
  double bid = 0;
  double ask = 0;
  double quoted_mid = 0;
  /// How far the book may move before we quote anew; a tenth of the last
  /// candle's range, once there is one.
  double tolerance = 0;
  /// In the base currency, and in the quote currency.
  double position = 0;
  double cash = 0;
  std::uint64_t quotes = 0;
  std::uint64_t fills = 0;

  void on_book(const actors::orderbook& book);
  /// True: it filled one of our quotes.
  bool on_trade(const actors::trade& x);

  double profit() const {
    return cash + position * mid;
  }
};

} // namespace demo
