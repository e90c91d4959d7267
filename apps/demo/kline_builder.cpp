#include "demo/kline_builder.hpp"

#include <fmt/format.h>

namespace demo {

namespace {

constexpr int volume_decimals = 2;

double turnover(const actors::trade& x) {
  return x.price.value() * x.quantity.value();
}

/// A candle of one trade.
actors::kline open_candle(const actors::trade& x, std::chrono::milliseconds interval) {
  actors::kline result;
  result.platform = candle_platform;
  result.symbol = x.symbol;
  result.open = result.high = result.low = result.close = x.price;
  result.volume = actors::decimal::fixed(turnover(x), volume_decimals);
  result.timestamp = x.timestamp - x.timestamp % interval.count();
  result.kline_type = fmt::format("kline_{}s", interval.count() / 1000);
  return result;
}

void add(actors::kline& candle, const actors::trade& x) {
  if (x.price.value() > candle.high.value())
    candle.high = x.price;
  if (x.price.value() < candle.low.value())
    candle.low = x.price;
  candle.close = x.price;
  candle.volume = actors::decimal::fixed(candle.volume.value() + turnover(x), volume_decimals);
}

} // namespace

kline_builder_state::kline_builder_state(caf::stateful_actor<kline_builder_state>* self)
    : self(self) {
  // nop
}

void kline_builder_state::on_trade(const actors::trade& x) {
  ++received;
  auto [i, is_first] = candles.try_emplace(x.symbol);
  auto& candle = i->second;
  if (!is_first && x.timestamp < candle.timestamp + interval.count()) {
    add(candle, x);
    return;
  }
  if (!is_first)
    publish(candle);
  candle = open_candle(x, interval);
}

void kline_builder_state::publish(const actors::kline& x) {
  center.publish(self, x).then([this](const actors::published&) { ++published; },
                               [this](const caf::error&) { ++failed; });
  print_line(fmt::format("candle   {}: open {} high {} low {} close {}", x.symbol, x.open.text(),
                         x.high.text(), x.low.text(), x.close.text()));
}

strategy_report kline_builder_state::report() const {
  return {name, received, {fmt::format("{} candles published, {} refused", published, failed)}};
}

caf::behavior kline_builder(caf::stateful_actor<kline_builder_state>* self,
                            actors::event_center center, std::string platform,
                            std::chrono::seconds interval) {
  self->state.center = center;
  self->state.interval = interval;
  center.subscribe(self, actors::trades(platform, "#"));
  return {
      [=](const actors::trade& x) { self->state.on_trade(x); },
      [=](caf::get_atom) { return self->state.report(); },
  };
}

} // namespace demo
