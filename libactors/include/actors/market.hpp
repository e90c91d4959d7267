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

/// A price or quantity as it stands on the wire: its text, and whether that was
/// a JSON string ("8680.70000000") or a bare number (8680.7). Both survive a
/// round trip to the letter. A kline's may be no number at all.
class ACTORS_EXPORT decimal {
public:
  /// 0, as a JSON string.
  decimal() = default;

  /// Reads the text of a decimal number, e.g. "8680.70000000", "-1.5", "1e-7".
  /// Error: `ec::invalid_argument`.
  static caf::expected<decimal> parse(std::string_view text, bool quoted = true);

  /// The number with a fixed count of decimals, as exchanges write it.
  static decimal fixed(double x, int decimals);

  /// The number with the fewest digits that read back as the same double. Not
  /// a number and infinity have no decimal text and become 0.
  static decimal shortest(double x);

  const std::string& text() const noexcept {
    return text_;
  }

  /// Whether the text stands in quotes on the wire.
  bool quoted() const noexcept {
    return quoted_;
  }

  /// Whether it is a number. A kline read from the wire may have none where its publisher
  /// knew none: null, NaN, Infinity, "nan", "-inf", ..., which `text` then is.
  bool is_number() const noexcept {
    return text_.find_first_of("0123456789") != std::string::npos;
  }

  /// The nearest double; not a number for null.
  double value() const noexcept;

  /// Equal on the wire: 1.0 and 1.00 are not.
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
  /// Whatever it holds, its data is a few levels deep.
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
  /// Whatever it holds, its data is a few levels deep.
  static constexpr bool is_flat = true;

  std::string platform;
  std::string symbol;
  /// What the taker did.
  trade_action action = trade_action::buy;
  decimal price;
  decimal quantity;
  /// Milliseconds since 1970.
  std::int64_t timestamp = 0;

  bool operator==(const trade&) const = default;
};

/// One candle. Published to the exchange "Kline" as EVENT_KLINE. Its numbers may be none, as
/// of an interval without trades: see `decimal::is_number`.
struct kline {
  static constexpr std::string_view event_name = "EVENT_KLINE";
  static constexpr std::string_view exchange = "Kline";
  /// Whatever it holds, its data is a few levels deep.
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
  /// "kline" for one minute, else "kline_3m", "kline_1h", "kline_1d", ...;
  /// empty stands for null on the wire, and for a key that is missing there.
  std::string kline_type = "kline";

  bool operator==(const kline&) const = default;
};

/// Candles of one routing key are about their intervals.
inline const std::string& subject_of(const kline& x) noexcept {
  return x.kline_type;
}

/// An event of any name, with its data as JSON.
struct event {
  /// E.g. "EVENT_ORDERBOOK".
  std::string name;
  std::string exchange;
  /// The queue that it was received from; empty in one to be published.
  std::string queue;
  std::string routing_key;
  /// The prefetch count that it was received with; of no effect on publishing.
  std::uint16_t prefetch_count = 1;
  json data;

  bool operator==(const event&) const = default;
};

// -- JSON ------------------------------------------------------------------------

/// Reads the data of an event straight into its struct, as Python's `json.dumps` writes it
/// (`json::parse`). Keys that the wire contract does not name are passed over; a missing or
/// wrong one is `ec::malformed_json` with its name, and `out` is then unspecified. A price or
/// quantity of an order book or a trade is a number; those of a kline may be none. A time may be
/// an integer, a number with a fraction (which is cut off) or the text of either.
ACTORS_EXPORT caf::error from_json(std::string_view text, orderbook& out,
                                   std::size_t max_depth = 32);
ACTORS_EXPORT caf::error from_json(std::string_view text, trade& out, std::size_t max_depth = 32);
ACTORS_EXPORT caf::error from_json(std::string_view text, kline& out, std::size_t max_depth = 32);

/// Appends the data of an event as JSON text.
ACTORS_EXPORT void append_json(std::string& out, const orderbook& x);
ACTORS_EXPORT void append_json(std::string& out, const trade& x);
ACTORS_EXPORT void append_json(std::string& out, const kline& x);

/// For event types of the user's own: a decimal in a JSON value (a string
/// keeps its text, a bare number becomes its shortest text), and back.
ACTORS_EXPORT caf::expected<decimal> to_decimal(const boost::json::value& x);
ACTORS_EXPORT boost::json::value to_value(const decimal& x);

} // namespace actors
