#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <caf/expected.hpp>

#include "market_data/feed.hpp"

namespace market_data {

/// Trades or klines in columns that the first line names, in any order. The
/// separator is a comma, nothing is quoted, unknown columns are passed over:
///
///     time,price,quantity,action            trades; action is BUY or SELL
///     time,open,high,low,close,volume       klines
///
/// `time` is in milliseconds since 1970. Optional columns: `platform` and
/// `symbol` for a file that holds several, `kline_type` (else "kline").
class csv_table {
public:
  /// The table that a header describes; nothing if it is no such header.
  static std::optional<csv_table> from_header(std::string_view line);

  /// Reads a row; `platform` and `symbol` are those of rows that name none.
  /// Error: `ec::invalid_argument`, naming the column.
  caf::expected<timed_event> read(std::string_view line, const std::string& platform,
                                  const std::string& symbol) const;

private:
  using cells = std::vector<std::string_view>;

  std::optional<std::string_view> find(const cells& row, std::string_view column) const;
  caf::expected<actors::decimal> number(const cells& row, std::string_view column) const;
  caf::expected<market_event> read_trade(const cells& row) const;
  caf::expected<market_event> read_kline(const cells& row) const;

  std::vector<std::string> columns_;
  bool klines_ = false;
};

} // namespace market_data
