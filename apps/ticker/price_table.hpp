#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "actors/market.hpp"

namespace ticker {

/// The latest of each symbol on each platform, as text. A plain value.
class price_table {
public:
  using clock = std::chrono::steady_clock;

  void update(const actors::orderbook& x, clock::time_point now);
  void update(const actors::trade& x, clock::time_point now);
  void update(const actors::kline& x, clock::time_point now);
  /// An event of another type: counted under its exchange and routing key.
  void update(const actors::event& x, clock::time_point now);

  /// Ends a second: events per second are those since the last call.
  void count_rates(clock::time_point now);

  /// Title and rows, at most `max_rows` of them, and what is left out. No line is longer than
  /// `width`: of the columns those are left away that matter least, and no number is cut.
  std::vector<std::string> lines(clock::time_point now, std::size_t max_rows,
                                 std::size_t width = 1000) const;

  /// One line for each symbol that changed since the last call.
  std::vector<std::string> changes();

private:
  struct row {
    std::optional<actors::level> bid;
    std::optional<actors::level> ask;
    std::optional<actors::trade> last_trade;
    std::optional<actors::kline> last_kline;
    std::uint64_t count = 0;
    double rate = 0;
    clock::time_point updated_at;
    bool changed = false;
  };

  row& touch(std::string platform, std::string symbol, clock::time_point now);

  /// By platform and symbol.
  std::map<std::pair<std::string, std::string>, row> rows_;
  clock::time_point counted_at_ = clock::now();
};

} // namespace ticker
