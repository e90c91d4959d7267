#include "market_data/simulated_market.hpp"

#include <algorithm>
#include <cmath>

namespace market_data {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds minute{60'000};
constexpr milliseconds kline_interval{2'000};

/// A year's volatility of a crypto currency, scaled to one second.
constexpr double volatility = 0.6 / 5'616.0;

constexpr int quantity_decimals = 5;

double opening_price(const std::string& symbol) {
  if (symbol.starts_with("BTC/"))
    return 61'837.63;
  if (symbol.starts_with("ETH/"))
    return 2'683.80;
  if (symbol.starts_with("SOL/"))
    return 155.20;
  return 100.0;
}

} // namespace

simulated_market::simulated_market(simulation_settings settings)
    : settings_(std::move(settings)), random_(settings_.seed), now_(settings_.start) {
  for (const auto& symbol : settings_.symbols) {
    instrument x;
    x.symbol = symbol;
    x.mid = opening_price(symbol);
    x.moved_at = now_;
    instruments_.push_back(std::move(x));
  }
  // A market opens with its books.
  for (auto& x : instruments_)
    pending_.emplace_back(make_book(x));
}

caf::expected<std::optional<timed_event>> simulated_market::next() {
  if (instruments_.empty())
    return std::nullopt;
  if (pending_.empty()) {
    auto& x = instruments_[random_() % instruments_.size()];
    move_price(x);
    if (between(1, 10) <= 6)
      pending_.emplace_back(make_book(x));
    else
      trade(x);
  }
  timed_event result{now_, std::move(pending_.front())};
  pending_.pop_front();
  ++count_;
  const auto seconds = static_cast<double>(count_) / settings_.rate;
  now_ = settings_.start
         + std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::duration<double>{seconds});
  return std::optional{std::move(result)};
}

actors::orderbook simulated_market::make_book(instrument& x) {
  const auto unit = std::pow(10.0, -x.decimals);
  const auto mid = std::llround(x.mid / unit);
  x.best_bid = mid - between(0, 1);
  x.best_ask = x.best_bid + between(1, 3);
  actors::orderbook result;
  result.platform = settings_.platform;
  result.symbol = x.symbol;
  result.timestamp = std::chrono::floor<milliseconds>(now_).count();
  const auto add = [&](std::vector<actors::level>& side, std::int64_t price, std::int64_t step) {
    for (std::size_t i = 0; i < settings_.levels; ++i, price += step * between(1, 4))
      side.push_back({actors::decimal::fixed(static_cast<double>(price) * unit, x.decimals),
                      actors::decimal::fixed(quantity(), quantity_decimals)});
  };
  add(result.asks, x.best_ask, 1);
  add(result.bids, x.best_bid, -1);
  return result;
}

void simulated_market::trade(instrument& x) {
  const auto now = std::chrono::floor<milliseconds>(now_);
  const auto buys = between(0, 1) == 1;
  const auto price =
      static_cast<double>(buys ? x.best_ask : x.best_bid) * std::pow(10.0, -x.decimals);
  actors::trade result;
  result.platform = settings_.platform;
  result.symbol = x.symbol;
  result.action = buys ? actors::trade_action::buy : actors::trade_action::sell;
  result.price = actors::decimal::fixed(price, x.decimals);
  result.quantity = actors::decimal::fixed(quantity(), quantity_decimals);
  result.timestamp = now.count();
  close_candle(x, now - now % minute);
  add_to_candle(x, price, result.quantity.value());
  pending_.emplace_back(std::move(result));
  if (now - x.reported_at >= kline_interval) {
    x.reported_at = now;
    pending_.emplace_back(make_kline(x));
  }
}

void simulated_market::close_candle(instrument& x, milliseconds this_minute) {
  if (x.minute == this_minute)
    return;
  if (x.trades > 0)
    pending_.emplace_back(make_kline(x));
  x.trades = 0;
  x.minute = this_minute;
}

void simulated_market::add_to_candle(instrument& x, double price, double quantity) {
  if (x.trades++ == 0) {
    x.open = x.high = x.low = price;
    x.volume = 0;
  }
  x.high = std::max(x.high, price);
  x.low = std::min(x.low, price);
  x.close = price;
  x.volume += price * quantity;
}

actors::kline simulated_market::make_kline(const instrument& x) const {
  actors::kline result;
  result.platform = settings_.platform;
  result.symbol = x.symbol;
  result.open = actors::decimal::fixed(x.open, x.decimals);
  result.high = actors::decimal::fixed(x.high, x.decimals);
  result.low = actors::decimal::fixed(x.low, x.decimals);
  result.close = actors::decimal::fixed(x.close, x.decimals);
  result.volume = actors::decimal::fixed(x.volume, quantity_decimals);
  result.timestamp = x.minute.count();
  return result;
}

void simulated_market::move_price(instrument& x) {
  const auto seconds = std::chrono::duration<double>(now_ - x.moved_at).count();
  x.moved_at = now_;
  std::normal_distribution<double> step{0.0, volatility * std::sqrt(std::max(seconds, 1e-9))};
  x.mid *= std::exp(step(random_));
}

std::int64_t simulated_market::between(std::int64_t low, std::int64_t high) {
  return std::uniform_int_distribution<std::int64_t>{low, high}(random_);
}

double simulated_market::quantity() {
  // Never nothing: a level of 0 means "deleted" elsewhere.
  return 0.001 + std::exponential_distribution<double>{1.0}(random_);
}

} // namespace market_data
