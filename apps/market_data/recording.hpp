#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>

#include <caf/expected.hpp>

#include "market_data/binance_message.hpp"
#include "market_data/csv_table.hpp"
#include "market_data/feed.hpp"
#include "market_data/line_file.hpp"

namespace market_data {

struct recording_settings {
  std::string path;
  /// The platform of what does not name its own.
  std::string platform = "binance";
  /// The symbol of a recording that holds one; empty: see `symbol_names`.
  std::string symbol;
  /// Recorded name to name, e.g. "BTCUSDT" to "BTC/USDT".
  std::map<std::string, std::string> symbol_map;
  /// The length of order books on either side.
  std::size_t levels = 10;
};

/// The events of a recorded file, plain or compressed with gzip. Its lines are
/// any of
///
///     <nanoseconds> <JSON>    a message of Binance, with its receive time
///     <seconds>: <JSON>       the same
///     {"exchange": ..., "routing_key": ..., "name": ..., "data": ...}
///
/// of which the third goes out as it is, its data to the letter; or it is a
/// CSV file (see `csv_table`). Lines that hold no event are counted.
class recording final : public feed {
public:
  /// Error: `ec::invalid_argument`, the file cannot be read.
  static caf::expected<recording> open(const recording_settings& settings);

  /// Error: `ec::invalid_argument`, naming the file and the line.
  caf::expected<std::optional<timed_event>> next() override;

  std::optional<double> progress() const override;

  std::map<std::string, std::uint64_t> skipped() const override;

private:
  recording(line_file file, const recording_settings& settings);

  caf::expected<std::optional<timed_event>> read(std::string_view line);
  caf::expected<std::optional<timed_event>> read_message(std::string_view line);
  caf::expected<std::optional<timed_event>> read_event(std::string_view line);
  std::optional<timed_event> skip(const std::string& what);

  line_file file_;
  conversion how_;
  std::string symbol_;
  std::optional<csv_table> table_;
  /// The time of the last event; those without a time of their own have it too.
  std::chrono::nanoseconds now_{0};
  std::map<std::string, std::uint64_t> skipped_;
};

/// The receive time before a recorded message: nanoseconds, or seconds (with
/// decimals) and a colon.
std::optional<std::chrono::nanoseconds> parse_receive_time(std::string_view text);

/// The text of a member's value in the text of an object that is known to be
/// well-formed; empty if there is none. `key` needs no escapes.
std::string_view raw_member(std::string_view object, std::string_view key);

} // namespace market_data
