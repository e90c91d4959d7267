#include "market_data/csv_table.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "actors/error.hpp"

namespace market_data {

namespace {

using namespace std::string_view_literals;

std::vector<std::string_view> split(std::string_view line) {
  std::vector<std::string_view> result;
  for (;;) {
    const auto comma = line.find(',');
    auto cell = line.substr(0, comma);
    while (cell.starts_with(' '))
      cell.remove_prefix(1);
    while (cell.ends_with(' '))
      cell.remove_suffix(1);
    result.push_back(cell);
    if (comma == std::string_view::npos)
      return result;
    line.remove_prefix(comma + 1);
  }
}

caf::error bad_cell(std::string_view column, std::string_view found, std::string_view allowed) {
  std::string text = "column '";
  text += column;
  text += "' holds '";
  text += found;
  text += "', not ";
  text += allowed;
  return actors::make_error(actors::ec::invalid_argument, std::move(text));
}

} // namespace

std::optional<csv_table> csv_table::from_header(std::string_view line) {
  csv_table result;
  for (auto name : split(line))
    result.columns_.emplace_back(name);
  const auto has = [&](auto... names) {
    return (... && (std::ranges::find(result.columns_, names) != result.columns_.end()));
  };
  result.klines_ = has("time"sv, "open"sv, "high"sv, "low"sv, "close"sv, "volume"sv);
  if (result.klines_ || has("time"sv, "price"sv, "quantity"sv, "action"sv))
    return result;
  return std::nullopt;
}

std::optional<std::string_view> csv_table::find(const cells& row, std::string_view column) const {
  const auto i = std::ranges::find(columns_, column);
  if (i == columns_.end())
    return std::nullopt;
  return row[static_cast<std::size_t>(i - columns_.begin())];
}

caf::expected<actors::decimal> csv_table::number(const cells& row, std::string_view column) const {
  const auto text = find(row, column).value_or(""sv);
  auto result = actors::decimal::parse(text);
  if (!result)
    return bad_cell(column, text, "a number");
  return result;
}

caf::expected<market_event> csv_table::read_trade(const cells& row) const {
  actors::trade result;
  const auto action = find(row, "action").value_or(""sv);
  if (action != "BUY" && action != "SELL")
    return bad_cell("action", action, "BUY or SELL");
  result.action = action == "BUY" ? actors::trade_action::buy : actors::trade_action::sell;
  auto price = number(row, "price");
  if (!price)
    return std::move(price.error());
  auto quantity = number(row, "quantity");
  if (!quantity)
    return std::move(quantity.error());
  result.price = std::move(*price);
  result.quantity = std::move(*quantity);
  return market_event{std::move(result)};
}

caf::expected<market_event> csv_table::read_kline(const cells& row) const {
  actors::kline result;
  const std::array targets{std::pair{"open"sv, &result.open}, std::pair{"high"sv, &result.high},
                           std::pair{"low"sv, &result.low}, std::pair{"close"sv, &result.close},
                           std::pair{"volume"sv, &result.volume}};
  for (auto [column, target] : targets) {
    auto x = number(row, column);
    if (!x)
      return std::move(x.error());
    *target = std::move(*x);
  }
  if (auto type = find(row, "kline_type"))
    result.kline_type = *type;
  return market_event{std::move(result)};
}

caf::expected<timed_event> csv_table::read(std::string_view line, const std::string& platform,
                                           const std::string& symbol) const {
  const auto row = split(line);
  if (row.size() != columns_.size())
    return actors::make_error(actors::ec::invalid_argument, std::to_string(row.size())
                                                                + " columns, not the header's "
                                                                + std::to_string(columns_.size()));
  const auto time = find(row, "time").value_or(""sv);
  std::int64_t ms = 0;
  const auto [end, err] = std::from_chars(time.data(), time.data() + time.size(), ms);
  if (err != std::errc{} || end != time.data() + time.size())
    return bad_cell("time", time, "milliseconds since 1970");
  const auto row_symbol = find(row, "symbol").value_or(symbol);
  if (row_symbol.empty())
    return actors::make_error(actors::ec::invalid_argument,
                              "there is no symbol: add a column 'symbol' or give one for all");
  auto what = klines_ ? read_kline(row) : read_trade(row);
  if (!what)
    return std::move(what.error());
  std::visit(
      [&]<class T>(T& x) {
        if constexpr (!std::is_same_v<T, actors::event>) {
          x.platform = find(row, "platform").value_or(platform);
          x.symbol = row_symbol;
          x.timestamp = ms;
        }
      },
      *what);
  return timed_event{std::chrono::milliseconds{ms}, std::move(*what)};
}

} // namespace market_data
