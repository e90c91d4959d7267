#pragma once

#include <map>
#include <optional>
#include <unordered_map>

#include <caf/actor.hpp>
#include <caf/actor_addr.hpp>
#include <caf/event_based_actor.hpp>

#include "delivery/event_handler.hpp"

namespace actors {

/// The strategies of a dispatcher, which monitors them, and their numbers in `dispatching`.
class known_strategies {
public:
  explicit known_strategies(caf::event_based_actor* self);

  /// Returns the number of a strategy, which gets one at its first subscription.
  subscriber_id number_of(const caf::actor& strategy);

  std::optional<subscriber_id> find(const caf::actor_addr& who) const;

  const caf::actor& at(subscriber_id number) const {
    return strategies_.at(number);
  }

  /// Forgets a strategy that has ended.
  void remove(const caf::actor_addr& ended);

  /// Forgets a strategy that lives on.
  void forget(subscriber_id number);

private:
  caf::event_based_actor* self_;
  std::map<caf::actor_addr, subscriber_id> numbers_;
  std::unordered_map<subscriber_id, caf::actor> strategies_;
  subscriber_id last_number_ = 0;
};

} // namespace actors
