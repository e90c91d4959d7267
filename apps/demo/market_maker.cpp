#include "demo/market_maker.hpp"

#include <fmt/format.h>

#include "demo/kline_builder.hpp"

namespace demo {

namespace {

/// One line of so many fills.
constexpr std::uint64_t fills_per_line = 50;

} // namespace

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
