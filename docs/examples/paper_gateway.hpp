#pragma once

#include <iostream>

#include <actors/event_center.hpp>

#include "orders.hpp"

// Fills each order at its price, without an exchange. An order is acknowledged once its fill is
// on the broker. One that comes again is filled again, with the same id: a copy.
inline caf::behavior paper_gateway(caf::event_based_actor* self, actors::event_center center) {
  using namespace actors;
  center.subscribe(
      self,
      subscription::to<order>("#").on_quorum_queue("paper.orders").acked(ack_policy::on_success));
  return {[=](const order& x) {
    std::cout << x.id << ": " << x.quantity << " at " << x.price << std::endl;
    auto done = self->make_response_promise();
    const fill all{x.platform, x.symbol, x.id + "-fill", x.id, x.price, x.quantity};
    center.publish(self, all, {.mandatory = true, .persistent = true})
        .then([done](const published&) mutable { done.deliver(caf::unit); },
              [done](caf::error& err) mutable { done.deliver(std::move(err)); });
    return done;
  }};
}
