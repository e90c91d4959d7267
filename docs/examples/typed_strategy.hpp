#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include <actors/event_center.hpp>
#include <caf/typed_event_based_actor.hpp>

// What a fair price understands; the compiler refuses to send it anything else.
using fair_price_actor = caf::typed_actor<caf::reacts_to<actors::orderbook>,
                                          caf::replies_to<caf::get_atom>::with<double>>;

// A moving average of the middle between bid and ask, for whoever asks.
class fair_price : public fair_price_actor::base {
public:
  fair_price(caf::actor_config& cfg, actors::event_center center, std::string symbol)
      : fair_price_actor::base(cfg), center_(std::move(center)), symbol_(std::move(symbol)) {
    // nop
  }

  behavior_type make_behavior() override {
    center_.subscribe(this, actors::orderbooks("simulated", symbol_));
    return {
        [this](const actors::orderbook& x) { on_book(x); },
        [this](caf::get_atom) { return price(); },
    };
  }

private:
  void on_book(const actors::orderbook& x) {
    if (x.asks.empty() || x.bids.empty())
      return;
    const auto middle = (x.asks[0].price.value() + x.bids[0].price.value()) / 2;
    average_ = average_ ? 0.9 * *average_ + 0.1 * middle : middle;
    seen_ = clock().now();
  }

  // An old price is none. The actor's clock is the test's in a test.
  caf::result<double> price() {
    if (!average_ || clock().now() - seen_ > std::chrono::seconds{10})
      return actors::make_error(actors::ec::expired, "no order book of " + symbol_ + " for 10 s");
    return *average_;
  }

  actors::event_center center_;
  std::string symbol_;
  std::optional<double> average_;
  caf::actor_clock::time_point seen_;
};
