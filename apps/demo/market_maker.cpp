#include "demo/market_maker.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "demo/kline_builder.hpp"

namespace demo {

namespace {

/// The size of a quote and the largest position, in the quote currency.
constexpr double quote_size = 1'000;
constexpr double position_limit = 10'000;

/// Of the price, as long as there is no candle.
constexpr double default_tolerance = 1e-5;

/// One line of so many fills.
constexpr std::uint64_t fills_per_line = 50;

} // namespace

void paper_account::on_book(const actors::orderbook& book) {
  if (book.asks.empty() || book.bids.empty())
    return;
  const auto best_bid = book.bids.front().price.value();
  const auto best_ask = book.asks.front().price.value();
  mid = (best_bid + best_ask) / 2;
  const auto allowed = tolerance > 0 ? tolerance : mid * default_tolerance;
  if (quotes > 0 && std::abs(mid - quoted_mid) <= allowed)
    return;
  bid = best_bid;
  ask = best_ask;
  quoted_mid = mid;
  ++quotes;
}

bool paper_account::on_trade(const actors::trade& x) {
  if (quotes == 0)
    return false;
  const auto price = x.price.value();
  const auto quantity = std::min(x.quantity.value(), quote_size / mid);
  const auto exposure = position * mid;
  if (x.action == actors::trade_action::sell && price <= bid && exposure < position_limit) {
    position += quantity;
    cash -= quantity * bid;
  } else if (x.action == actors::trade_action::buy && price >= ask && exposure > -position_limit) {
    position -= quantity;
    cash += quantity * ask;
  } else {
    return false;
  }
  ++fills;
  return true;
}

void market_maker_state::on_trade(const actors::trade& x) {
  auto& account = accounts[x.symbol];
  if (account.on_trade(x) && account.fills % fills_per_line == 0)
    print_line(fmt::format("maker    {}: {} fills, position {:+.4f}, profit {:+.2f} on paper",
                           x.symbol, account.fills, account.position, account.profit()));
}

strategy_report market_maker_state::report() const {
  strategy_report result{name, received, {}};
  double total = 0;
  for (const auto& [symbol, x] : accounts) {
    total += x.profit();
    result.lines.push_back(fmt::format("{}: {} quotes, {} fills, position {:+.4f}, profit {:+.2f}",
                                       symbol, x.quotes, x.fills, x.position, x.profit()));
  }
  result.lines.push_back(fmt::format("paper profit {:+.2f} in all", total));
  return result;
}

caf::behavior market_maker(caf::stateful_actor<market_maker_state>* self,
                           actors::event_center center, std::string platform) {
  center.subscribe(self, actors::orderbooks(platform, "#"));
  center.subscribe(self, actors::trades(platform, "#"));
  center.subscribe(self, actors::klines(candle_platform, "#"));
  return {
      [=](const actors::orderbook& book) {
        ++self->state.received;
        self->state.accounts[book.symbol].on_book(book);
      },
      [=](const actors::trade& x) {
        ++self->state.received;
        self->state.on_trade(x);
      },
      [=](const actors::kline& x) {
        ++self->state.received;
        self->state.accounts[x.symbol].tolerance = (x.high.value() - x.low.value()) / 10;
      },
      [=](caf::get_atom) { return self->state.report(); },
  };
}

} // namespace demo
