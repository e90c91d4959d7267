#include "center/known_strategies.hpp"

namespace actors {

known_strategies::known_strategies(caf::event_based_actor* self) : self_(self) {
  // nop
}

subscriber_id known_strategies::number_of(const caf::actor& strategy) {
  auto [i, is_new] = numbers_.try_emplace(strategy.address(), last_number_ + 1);
  if (is_new) {
    strategies_.emplace(++last_number_, strategy);
    self_->monitor(strategy);
  }
  return i->second;
}

std::optional<subscriber_id> known_strategies::find(const caf::actor_addr& who) const {
  const auto i = numbers_.find(who);
  return i != numbers_.end() ? std::optional{i->second} : std::nullopt;
}

void known_strategies::remove(const caf::actor_addr& ended) {
  if (const auto gone = numbers_.extract(ended))
    strategies_.erase(gone.mapped());
}

void known_strategies::forget(subscriber_id number) {
  const auto gone = strategies_.extract(number);
  self_->demonitor(gone.mapped());
  numbers_.erase(gone.mapped().address());
}

} // namespace actors
