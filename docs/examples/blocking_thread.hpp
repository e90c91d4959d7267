#pragma once

#include <iostream>
#include <stop_token>

#include <actors/event_center.hpp>
#include <caf/scoped_actor.hpp>

// Publishes the spread of each order book until it is told to stop, in a thread that may block.
// Gives back why it has ended before.
inline caf::error publish_spreads(const std::stop_token& stop, caf::scoped_actor& self,
                                  const actors::event_center& center) {
  using namespace actors;
  using namespace std::chrono_literals;
  if (auto err = center.wait_until_up(5s))
    return err;
  caf::error result;
  auto pending = center.subscribe(self, orderbooks("simulated", "ETH/USDT"), 2s);
  const auto id = pending.subscription;
  pending.receive([](const subscribed&) {}, [&](caf::error& err) { result = std::move(err); });
  while (!result && !stop.stop_requested()) {
    std::optional<decimal> spread;
    self->receive(
        [&](const orderbook& x) {
          if (!x.asks.empty() && !x.bids.empty())
            spread = decimal::fixed(x.asks[0].price.value() - x.bids[0].price.value(), 2);
        },
        caf::after(100ms) >> [] {});
    if (!spread)
      continue;
    event out{.name = "EVENT_SPREAD", .exchange = "Spread", .routing_key = "simulated.ETH/USDT"};
    out.data = json{to_value(*spread)};
    // A message that is not answered in time may be published all the same.
    center.publish(self, out, {.timeout = 500ms})
        .receive([&](const published&) { std::cout << "spread " << spread->text() << std::endl; },
                 [](const caf::error& err) { std::cout << text_of(err) << std::endl; });
  }
  // A subscription that is not confirmed in time goes on as well, until it is ended.
  center.unsubscribe(self, id).receive([] {}, [](const caf::error&) {});
  return result;
}
