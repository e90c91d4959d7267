#pragma once

#include <cstdint>
#include <map>
#include <string>

#include <caf/behavior.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>

#include "actors/event_center.hpp"
#include "demo/report.hpp"

namespace demo {

struct spread_watcher_state {
  struct spread {
    std::uint64_t books = 0;
    double sum = 0;
    double widest = 0;
  };

  void on_book(const actors::orderbook& book);
  strategy_report report() const;

  /// By symbol.
  std::map<std::string, spread> spreads;
  std::uint64_t received = 0;

  static inline const char* name = "spread_watcher";
};

/// Watches the distance between best bid and best ask of every symbol of a
/// platform. The simplest strategy there is: one subscription, one handler.
caf::behavior spread_watcher(caf::stateful_actor<spread_watcher_state>* self,
                             actors::event_center center, std::string platform);

} // namespace demo
