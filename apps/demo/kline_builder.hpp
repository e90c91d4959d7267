#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

#include <caf/behavior.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>

#include "actors/event_center.hpp"
#include "demo/report.hpp"

namespace demo {

/// What its candles are published as.
inline constexpr std::string_view candle_platform = "demo";

struct kline_builder_state {
  explicit kline_builder_state(caf::stateful_actor<kline_builder_state>* self);

  void on_trade(const actors::trade& x);
  void publish(const actors::kline& x);
  strategy_report report() const;

  caf::stateful_actor<kline_builder_state>* self;
  actors::event_center center;
  std::chrono::milliseconds interval{0};
  /// The open candle of each symbol.
  std::map<std::string, actors::kline> candles;
  std::uint64_t received = 0;
  std::uint64_t published = 0;
  std::uint64_t failed = 0;

  static inline const char* name = "kline_builder";
};

/// Builds candles from the trades of a platform and publishes them as klines of
/// the platform "demo": a strategy whose output is other strategies' input.
caf::behavior kline_builder(caf::stateful_actor<kline_builder_state>* self,
                            actors::event_center center, std::string platform,
                            std::chrono::seconds interval);

} // namespace demo
