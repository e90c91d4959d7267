#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <variant>

#include <caf/expected.hpp>

#include "market_data/feed.hpp"

/// Recorded messages of Binance's combined streams, as AIOQuant's Binance
/// market server turns them into events.
namespace market_data {

/// Names a recorded symbol ("BTCUSDT") as the fleet does ("BTC/USDT").
class symbol_names {
public:
  /// `only` names the one symbol of a recording, `map` names several; a symbol
  /// that neither names is split before a well-known quote currency.
  explicit symbol_names(std::string only = {}, std::map<std::string, std::string> map = {});

  /// Error: `only` is given and this is a second symbol.
  caf::expected<std::string> of(std::string_view recorded);

private:
  std::string only_;
  std::string only_recorded_;
  std::map<std::string, std::string> map_;
};

/// What a message was that stands for no event, e.g. "bookTicker".
struct not_an_event {
  std::string what;
};

struct conversion {
  std::string platform = "binance";
  /// The length of order books on either side.
  std::size_t levels = 10;
  symbol_names symbols;
};

/// Converts `{"stream": ..., "data": ...}`: `@depth20` (and 5, 10) to an order
/// book with the receive time, `@trade` and `@aggTrade` to a trade, `@kline_*`
/// to a kline whose volume is the quote volume. Error: the symbol's.
caf::expected<std::variant<market_event, not_an_event>>
from_binance(std::string_view text, std::chrono::nanoseconds received, conversion& how);

} // namespace market_data
