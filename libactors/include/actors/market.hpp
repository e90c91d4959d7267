#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/value.hpp>
#include <caf/error.hpp>
#include <caf/expected.hpp>

#include "actors/export.hpp"
#include "actors/json.hpp"

/// The market events that AIOQuant fleets exchange, and the generic event.
namespace actors {

/// A price or quantity as it stands on the wire: its text, and whether the text was a JSON string
/// ("8680.70000000") or a bare number (8680.7). Both survive a round trip unchanged. The decimals
/// of a kline may have no number at all (`is_number`).
class ACTORS_EXPORT decimal {
public:
  /// 0, as a JSON string.
  decimal() = default;

  /// Reads the text of a decimal number, e.g. "8680.70000000", "-1.5", "1e-7".
  /// Error: `ec::invalid_argument`.
  static caf::expected<decimal> parse(std::string_view text, bool quoted = true);

  /// The number with a fixed count of decimals, as exchanges write it.
  static decimal fixed(double x, int decimals);

  /// The number with the fewest digits that read back as the same double. NaN and infinity have
  /// no decimal text and become 0.
  static decimal shortest(double x);

  const std::string& text() const noexcept {
    return text_;
  }

  /// Whether the text stands in quotes on the wire.
  bool quoted() const noexcept {
    return quoted_;
  }

  /// Whether the decimal is a number. A kline from the wire may hold null, NaN, Infinity, "nan",
  /// "-inf", ... where its publisher knew no number; `text` then returns those letters.
  bool is_number() const noexcept {
    return text_.find_first_of("0123456789") != std::string::npos;
  }

  /// The nearest double; NaN for null.
  double value() const noexcept;

  /// Compares the wire texts: 1.0 and 1.00 differ.
  bool operator==(const decimal&) const = default;

private:
  friend struct decimal_access;

  std::string text_ = "0";
  bool quoted_ = true;
};

/// One price level of an order book.
struct level {
  decimal price;
  decimal quantity;

  bool operator==(const level&) const = default;
};

/// The best price levels of a symbol on a platform. Published to the exchange
/// "Orderbook" as EVENT_ORDERBOOK.
struct orderbook {
  static constexpr std::string_view event_name = "EVENT_ORDERBOOK";
  static constexpr std::string_view exchange = "Orderbook";
  /// The JSON nests only a few levels, so its depth needs no check.
  static constexpr bool is_flat = true;

  /// The trading venue, e.g. "binance".
  std::string platform;
  /// The trading pair, e.g. "ETH/USDT".
  std::string symbol;
  /// Ascending by price: the first is the best.
  std::vector<level> asks;
  /// Descending by price: the first is the best.
  std::vector<level> bids;
  /// Milliseconds since 1970.
  std::int64_t timestamp = 0;

  bool operator==(const orderbook&) const = default;
};

enum class trade_action : std::uint8_t { buy, sell };

/// "BUY" or "SELL".
ACTORS_EXPORT std::string_view to_string(trade_action x) noexcept;

/// One trade. Published to the exchange "Trade" as EVENT_TRADE.
struct trade {
  static constexpr std::string_view event_name = "EVENT_TRADE";
  static constexpr std::string_view exchange = "Trade";
  /// The JSON nests only a few levels, so its depth needs no check.
  static constexpr bool is_flat = true;

  std::string platform;
  std::string symbol;
  /// The taker's side.
  trade_action action = trade_action::buy;
  decimal price;
  decimal quantity;
  /// Milliseconds since 1970.
  std::int64_t timestamp = 0;

  bool operator==(const trade&) const = default;
};

/// One candle. Published to the exchange "Kline" as EVENT_KLINE. The decimals may hold no number,
/// e.g. for an interval without trades: see `decimal::is_number`.
struct kline {
  static constexpr std::string_view event_name = "EVENT_KLINE";
  static constexpr std::string_view exchange = "Kline";
  /// The JSON nests only a few levels, so its depth needs no check.
  static constexpr bool is_flat = true;

  std::string platform;
  std::string symbol;
  decimal open;
  decimal high;
  decimal low;
  decimal close;
  decimal volume;
  /// Start of the candle, milliseconds since 1970.
  std::int64_t timestamp = 0;
  /// "kline" for one minute, else "kline_3m", "kline_1h", "kline_1d", ...; empty stands for null
  /// or a missing key on the wire.
  std::string kline_type = "kline";

  bool operator==(const kline&) const = default;
};

/// The subject of a candle is its interval.
inline const std::string& subject_of(const kline& x) noexcept {
  return x.kline_type;
}

/// An event of any name, with its data as JSON.
struct event {
  /// E.g. "EVENT_ORDERBOOK".
  std::string name;
  std::string exchange;
  /// The queue that the event was received from; empty when publishing.
  std::string queue;
  std::string routing_key;
  /// The prefetch count of the consumer that received the event; no effect on publishing.
  std::uint16_t prefetch_count = 1;
  json data;

  bool operator==(const event&) const = default;
};

// -- JSON ------------------------------------------------------------------------

/// Reads the data of an event straight into its struct, including all that Python's `json.dumps`
/// writes (`json::parse`). Keys outside the wire contract are skipped. Error:
/// `ec::malformed_json` with the key that is missing or wrong; `out` is then unspecified. Prices
/// and quantities of order books and trades must be numbers; the decimals of a kline need not. A
/// time may be an integer, a number whose fraction is cut off, or a string with either.
ACTORS_EXPORT caf::error from_json(std::string_view text, orderbook& out,
                                   std::size_t max_depth = 32);
ACTORS_EXPORT caf::error from_json(std::string_view text, trade& out, std::size_t max_depth = 32);
ACTORS_EXPORT caf::error from_json(std::string_view text, kline& out, std::size_t max_depth = 32);

/// Appends the data of an event as JSON text.
ACTORS_EXPORT void append_json(std::string& out, const orderbook& x);
ACTORS_EXPORT void append_json(std::string& out, const trade& x);
ACTORS_EXPORT void append_json(std::string& out, const kline& x);

/// Converts a JSON value to a decimal and back, for the user's own event types. A string keeps
/// its text; a bare number becomes its shortest text.
ACTORS_EXPORT caf::expected<decimal> to_decimal(const boost::json::value& x);
ACTORS_EXPORT boost::json::value to_value(const decimal& x);

} // namespace actors
