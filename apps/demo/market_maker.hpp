#pragma once

#include <cstdint>
#include <map>
#include <string>

#include <caf/behavior.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>

#include "actors/event_center.hpp"
#include "demo/report.hpp"

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

struct market_maker_state {
  void on_trade(const actors::trade& x);
  strategy_report report() const;

  /// By symbol.
  std::map<std::string, paper_account> accounts;
  std::uint64_t received = 0;

  static inline const char* name = "market_maker";
};

/// Makes a market in every symbol of a platform, on paper: it joins the best
/// bid and the best ask, quotes anew when the book has moved too far, and is
/// filled by the trades that reach its quotes. How far is too far, it learns
/// from the candles of `kline_builder`.
caf::behavior market_maker(caf::stateful_actor<market_maker_state>* self,
                           actors::event_center center, std::string platform);

} // namespace demo
