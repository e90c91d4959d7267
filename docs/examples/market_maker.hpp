#pragma once

#include <iostream>
#include <set>

#include <actors/event_center.hpp>
#include <caf/stateful_actor.hpp>

#include "orders.hpp"

struct market_maker_state {
  double position = 0;
  std::set<std::string> open;    // orders that the gateway has, or may have
  std::set<std::string> counted; // fills, by their ids
};

// Buys at the bid, sells at the ask, and does it again once both orders are done.
inline caf::behavior market_maker(caf::stateful_actor<market_maker_state>* self,
                                  actors::event_center center) {
  using namespace actors;
  auto& state = self->state;
  auto send = [=, &state](const order& x) {
    constexpr std::chrono::milliseconds worth_sending{200};
    state.open.insert(x.id);
    center.publish(self, x, {.mandatory = true, .persistent = true, .ttl = worth_sending})
        .then([](const published&) {}, // the queue of the gateway has it, until it expires
              [=, &state](const caf::error& err) {
                std::cout << x.id << ": " << text_of(err) << std::endl;
                // in_doubt: the gateway may have it. kept_unsent: the next start sends it.
                // no_route, expired, outbox_full, ...: for certain the gateway has not got it.
                if (code_of(err) != ec::in_doubt && code_of(err) != ec::kept_unsent)
                  state.open.erase(x.id);
              });
  };
  const auto books = orderbooks("simulated", "ETH/USDT").keeping(delivery_policy::latest_per_key);
  const auto fills = subscription::to<fill>("simulated.ETH/USDT").on_quorum_queue("maker.fills");
  // No order before fills are heard of. An error ends the strategy, as nobody takes it here.
  center.subscribe(self, fills.acked(ack_policy::on_success).with_delivery_info())
      .then([=](const subscribed&) { center.subscribe(self, books.multi()); });
  return {
      [=, &state](const orderbook& x) {
        if (!state.open.empty() || x.bids.empty() || x.asks.empty())
          return;
        const auto id = unique_instance(); // neither others nor our next life have it
        send({x.platform, x.symbol, id + "-buy", x.bids[0].price.value(), 1});
        send({x.platform, x.symbol, id + "-sell", x.asks[0].price.value(), -1});
      },
      [=, &state](const fill& x, const delivery_info& about) {
        if (!state.counted.insert(x.id).second)
          return; // a copy
        if (about.redelivered && !state.open.contains(x.order_id))
          std::cout << x.id << ": a former life of ours may have counted it" << std::endl;
        state.position += x.quantity;
        if (x.is_last)
          state.open.erase(x.order_id);
      },
  };
}
