#include "demo/spread_watcher.hpp"

#include <fmt/format.h>

namespace demo {

void spread_watcher_state::on_book(const actors::orderbook& book) {
  ++received;
  if (book.asks.empty() || book.bids.empty())
    return;
  const auto width = book.asks.front().price.value() - book.bids.front().price.value();
  auto& x = spreads[book.symbol];
  ++x.books;
  x.sum += width;
  // Half a unit of the last decimal is noise, not news.
  if (width > x.widest + 1e-9) {
    x.widest = width;
    print_line(fmt::format("spread   {}: {:.6g}, the widest so far", book.symbol, width));
  }
}

strategy_report spread_watcher_state::report() const {
  strategy_report result{name, received, {}};
  for (const auto& [symbol, x] : spreads)
    result.lines.push_back(fmt::format("{}: spread {:.4g} on average, {:.4g} at most", symbol,
                                       x.sum / static_cast<double>(x.books), x.widest));
  return result;
}

caf::behavior spread_watcher(caf::stateful_actor<spread_watcher_state>* self,
                             actors::event_center center, std::string platform) {
  center.subscribe(self, actors::orderbooks(platform, "#"));
  return {
      [=](const actors::orderbook& book) { self->state.on_book(book); },
      [=](caf::get_atom) { return self->state.report(); },
  };
}

} // namespace demo
