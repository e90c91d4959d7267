#include "ticker/price_table.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace ticker {

namespace {

constexpr std::string_view title_format = "{:<12} {:<14} {:>14} {:>14} {:>10} {:>23} {:>9} {:>7}";

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

std::vector<std::string> price_table::lines(clock::time_point now, std::size_t max_rows) const {
  std::vector<std::string> result;
  result.push_back(fmt::format(title_format, "platform", "symbol", "bid", "ask", "spread", "last",
                               "events/s", "age"));
  for (const auto& [key, row] : rows_) {
    if (result.size() > max_rows) {
      result.push_back(fmt::format("... and {} more", rows_.size() - max_rows));
      break;
    }
    const auto age = std::chrono::duration<double>(now - row.updated_at).count();
    result.push_back(fmt::format(title_format, key.first, key.second, price_of(row.bid),
                                 price_of(row.ask), spread_of(row.bid, row.ask),
                                 last_of(row.last_trade, row.last_kline),
                                 fmt::format("{:.1f}", row.rate), fmt::format("{:.1f} s", age)));
  }
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
