#pragma once

#include <cstdint>
#include <map>
#include <string>

#include <caf/behavior.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>

#include "actors/event_center.hpp"
#include "demo/paper_account.hpp"
#include "demo/report.hpp"

namespace demo {

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
