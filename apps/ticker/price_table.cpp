#include "ticker/price_table.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace ticker {

namespace {

constexpr std::size_t columns = 8;

using cells = std::array<std::string, columns>;

using column_widths = std::array<std::size_t, columns>;

const cells title{"platform", "symbol", "bid", "ask", "spread", "last", "events/s", "age"};

/// Where there is room for it.
constexpr column_widths roomy{12, 14, 14, 14, 10, 23, 9, 7};

/// What is left away first where there is no room: age, spread, events/s, platform, last.
constexpr std::array<std::size_t, 5> dispensable{7, 4, 6, 0, 5};

/// The first columns hold names, to the left; the others numbers, to the right.
constexpr std::size_t name_columns = 2;

/// Characters of a text in UTF-8.
std::size_t length(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string_view cut(std::string_view text, std::size_t width) {
  std::size_t end = 0;
  for (std::size_t count = 0; end < text.size(); ++end)
    if ((static_cast<unsigned char>(text[end]) & 0xC0) != 0x80 && ++count > width)
      break;
  return text.substr(0, end);
}

std::size_t total(const column_widths& xs) {
  std::size_t result = 0;
  for (const auto x : xs)
    result += x > 0 ? x + 1 : 0;
  return std::max<std::size_t>(result, 1) - 1;
}

/// The width of each column, 0 for those that are left away.
column_widths fit(const std::vector<cells>& table, std::size_t width) {
  column_widths narrow{};
  for (const auto& row : table)
    for (std::size_t i = 0; i < columns; ++i)
      narrow[i] = std::max(narrow[i], length(row[i]));
  auto result = narrow;
  for (std::size_t i = 0; i < columns; ++i)
    result[i] = std::max(result[i], roomy[i]);
  if (total(result) > width)
    result = narrow;
  for (const auto i : dispensable)
    if (total(result) > width)
      result[i] = 0;
  return result;
}

std::string to_line(const cells& row, const column_widths& widths, std::size_t width) {
  std::string result;
  for (std::size_t i = 0; i < columns; ++i) {
    if (widths[i] == 0)
      continue;
    const std::string space(widths[i] - length(row[i]), ' ');
    result += result.empty() ? "" : " ";
    result += i < name_columns ? row[i] + space : space + row[i];
  }
  return std::string{cut(result, width)};
}

/// Prices without the zeros that exchanges pad them with.
std::string short_number(const actors::decimal& x) {
  std::string_view text = x.text();
  if (text.find_first_of(".eE") != std::string_view::npos
      && text.find_first_of("eE") == std::string_view::npos) {
    text = text.substr(0, text.find_last_not_of('0') + 1);
    if (text.ends_with('.'))
      text.remove_suffix(1);
  }
  return std::string{text};
}

std::string price_of(const std::optional<actors::level>& x) {
  return x ? short_number(x->price) : "-";
}

std::string spread_of(const std::optional<actors::level>& bid,
                      const std::optional<actors::level>& ask) {
  if (!bid || !ask)
    return "-";
  return fmt::format("{:.6g}", ask->price.value() - bid->price.value());
}

std::string describe(const actors::trade& x) {
  return fmt::format("{} {} {:.6g}", short_number(x.price), to_string(x.action),
                     x.quantity.value());
}

std::string last_of(const std::optional<actors::trade>& trade,
                    const std::optional<actors::kline>& kline) {
  if (trade)
    return describe(*trade);
  return kline ? short_number(kline->close) + " close" : "-";
}

std::optional<actors::level> best(const std::vector<actors::level>& side) {
  return side.empty() ? std::nullopt : std::optional{side.front()};
}

} // namespace

void price_table::update(const actors::orderbook& x, clock::time_point now) {
  auto& row = touch(x.platform, x.symbol, now);
  row.bid = best(x.bids);
  row.ask = best(x.asks);
}

void price_table::update(const actors::trade& x, clock::time_point now) {
  touch(x.platform, x.symbol, now).last_trade = x;
}

void price_table::update(const actors::kline& x, clock::time_point now) {
  touch(x.platform, x.symbol, now).last_kline = x;
}

void price_table::update(const actors::event& x, clock::time_point now) {
  touch(x.exchange, x.routing_key, now);
}

price_table::row& price_table::touch(std::string platform, std::string symbol,
                                     clock::time_point now) {
  auto& result = rows_[{std::move(platform), std::move(symbol)}];
  ++result.count;
  result.updated_at = now;
  result.changed = true;
  return result;
}

void price_table::count_rates(clock::time_point now) {
  const auto seconds = std::max(std::chrono::duration<double>(now - counted_at_).count(), 1e-3);
  counted_at_ = now;
  for (auto& [key, row] : rows_)
    row.rate = static_cast<double>(std::exchange(row.count, 0)) / seconds;
}

std::vector<std::string> price_table::lines(clock::time_point now, std::size_t max_rows,
                                            std::size_t width) const {
  std::vector<cells> table;
  table.push_back(title);
  for (const auto& [key, row] : rows_) {
    if (table.size() > max_rows)
      break;
    const auto age = std::chrono::duration<double>(now - row.updated_at).count();
    table.push_back({key.first, key.second, price_of(row.bid), price_of(row.ask),
                     spread_of(row.bid, row.ask), last_of(row.last_trade, row.last_kline),
                     fmt::format("{:.1f}", row.rate), fmt::format("{:.1f} s", age)});
  }
  const auto widths = fit(table, width);
  std::vector<std::string> result;
  for (const auto& x : table)
    result.push_back(to_line(x, widths, width));
  if (rows_.size() > max_rows)
    result.push_back(fmt::format("... and {} more", rows_.size() - max_rows).substr(0, width));
  return result;
}

std::vector<std::string> price_table::changes() {
  std::vector<std::string> result;
  for (auto& [key, row] : rows_)
    if (std::exchange(row.changed, false))
      result.push_back(fmt::format("{} {}  bid {}  ask {}  spread {}  last {}  {:.1f} events/s",
                                   key.first, key.second, price_of(row.bid), price_of(row.ask),
                                   spread_of(row.bid, row.ask),
                                   last_of(row.last_trade, row.last_kline), row.rate));
  return result;
}

} // namespace ticker
