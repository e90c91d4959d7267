#include "demo/paper_account.hpp"

#include <algorithm>
#include <cmath>

namespace demo {

namespace {

/// The size of a quote and the largest position, in the quote currency.
constexpr double quote_size = 1'000;
constexpr double position_limit = 10'000;

/// Of the price, as long as there is no candle.
constexpr double default_tolerance = 1e-5;

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

} // namespace demo
