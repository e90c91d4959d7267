#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <caf/event_based_actor.hpp>
#include <caf/expected.hpp>

#include "actors/event_center.hpp"

namespace ticker {

/// "Orderbook:binance.#" as a subscription, typed for the table, or generic.
/// Error: `ec::invalid_argument`.
caf::expected<actors::subscription> parse_key(std::string_view key, bool typed);

/// Subscribes, and says so on standard error once all are confirmed. A refused
/// subscription ends the actor with the reason.
void subscribe_all(caf::event_based_actor* self, const actors::event_center& center,
                   std::vector<actors::subscription> wanted);

} // namespace ticker
