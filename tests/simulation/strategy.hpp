#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>

#include "actors/event_center.hpp"

namespace actors::simulation {

/// Which of the publishers sent a numbered trade, and the place it has among its
/// trades of one symbol.
struct number {
  std::int64_t publisher = 0;
  std::int64_t sequence = 0;

  auto operator<=>(const number&) const = default;
};

trade numbered_trade(const std::string& symbol, number x);
number number_of(const trade& x);
std::string to_string(number x);

/// What a strategy has seen over all its lives, and how well it behaves.
struct journal {
  std::string name;
  /// Trades in the order they were handled, by symbol.
  std::map<std::string, std::vector<number>> handled;
  /// Handled again within one life.
  std::vector<std::string> twice;
  /// Handled behind a later one of its publisher, within one life.
  std::vector<std::string> reordered;
  /// Handled for the first time behind a later one, over all lives.
  std::vector<std::string> overtaken;
  /// Chances in a hundred.
  unsigned fails = 0;
  unsigned hesitates = 0;
  unsigned crashes = 0;
  std::mt19937_64 random;

  void begin_life();
  void handle(const trade& x);
  bool happens(unsigned percent);

private:
  struct record {
    std::set<std::pair<std::string, number>> seen;
    /// By symbol and publisher.
    std::map<std::pair<std::string, std::int64_t>, std::int64_t> highest;
  };

  /// Notes a trade. Gives back whether it is behind a later one.
  static bool overtaken_in(record& x, const std::string& symbol, number what);

  record life_;
  record lives_;
};

/// A strategy that subscribes and keeps a journal; "flush" has it answer what it
/// has put off.
caf::actor spawn_strategy(caf::actor_system& system, event_center center, subscription what,
                          std::shared_ptr<journal> seen);

/// What a publisher has sent, and what the broker has confirmed, by symbol.
struct sent {
  std::int64_t publisher = 0;
  std::map<std::string, std::int64_t> last;
  std::map<std::string, std::set<number>> confirmed;
  /// Without an answer so far.
  std::size_t open = 0;
  /// What no queue takes, and was confirmed nevertheless.
  std::size_t confirmed_into_the_void = 0;
  /// Answered with the error of another one, in words.
  std::vector<std::string> blamed;
};

/// Publishes a numbered trade for each ("publish", symbol), the first publisher's mandatory; for
/// ("publish", symbol, id) beside it, with the same message id, what no queue takes; for
/// ("publish", event) that, whatever the answer.
caf::actor spawn_publisher(caf::actor_system& system, event_center center,
                           std::shared_ptr<sent> log);

} // namespace actors::simulation
