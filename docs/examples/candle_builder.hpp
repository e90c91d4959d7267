#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>

#include <actors/event_center.hpp>
#include <caf/stateful_actor.hpp>

struct candle_builder_state {
  actors::kline candle;
  std::int64_t next = 0; // the offset of the first trade that is not in the candle
};

inline candle_builder_state load(const std::filesystem::path& file) {
  candle_builder_state x;
  std::ifstream in{file};
  std::string candle;
  in >> x.next >> std::ws;
  if (exists(file) && (!getline(in, candle) || from_json(candle, x.candle)))
    throw std::runtime_error{"cannot read " + file.string()};
  return x;
}

// The file is the old one or the new one, whenever we are killed.
inline void save(const candle_builder_state& x, const std::filesystem::path& file) {
  const std::filesystem::path fresh{file.string() + ".new"};
  std::ofstream out{fresh};
  if (!(out << x.next << '\n' << data_of(x.candle) << std::endl))
    throw std::runtime_error{"cannot write " + fresh.string()};
  rename(fresh, file);
}

// Publishes candles of five seconds. The state is saved once the broker has the candle before it
// (an error ends the strategy), so that the next start goes on behind it, or builds it anew.
inline caf::behavior candle_builder(caf::stateful_actor<candle_builder_state>* self,
                                    actors::event_center center, std::filesystem::path file) {
  using namespace actors;
  auto& state = self->state = load(file);
  const auto from = std::max<std::int64_t>(state.next - 10'000, 0);
  auto tape = trades("simulated", "ETH/USDT").on_stream("tape", from).with_delivery_info();
  center.subscribe(self, tape.limited({.max_length_bytes = 1 << 30}).acked(ack_policy::on_success));
  return {[=, &state](const trade& x, const delivery_info& about) {
    if (about.stream_offset < state.next)
      return; // it is read again, so that a copy of it is known
    const auto before = state.candle;
    const auto start = x.timestamp - x.timestamp % 5'000;
    auto& candle = state.candle;
    if (start > candle.timestamp)
      candle = {x.platform, x.symbol, x.price, x.price, x.price, x.price, {}, start, "kline_5s"};
    candle.high = std::ranges::max(candle.high, x.price, {}, &decimal::value);
    candle.low = std::ranges::min(candle.low, x.price, {}, &decimal::value);
    candle.close = x.price;
    candle.volume = decimal::shortest(candle.volume.value() + x.quantity.value());
    state.next = about.stream_offset.value() + 1;
    if (before.timestamp > 0 && candle.timestamp > before.timestamp)
      center.publish(self, before).then([file, state](const published&) { save(state, file); });
  }};
}
