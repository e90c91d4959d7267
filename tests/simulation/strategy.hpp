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

/// Which of the publishers sent a numbered event, and the place it has among its
/// events of one symbol.
struct number {
  std::int64_t publisher = 0;
  std::int64_t sequence = 0;

  auto operator<=>(const number&) const = default;
};

/// More than there are publishers.
inline constexpr std::int64_t max_publishers = 10;

/// A trade or a candle.
template <class T>
T numbered_event(const std::string& symbol, number x) {
  T result;
  result.platform = "sim";
  result.symbol = symbol;
  result.timestamp = x.sequence * max_publishers + x.publisher;
  return result;
}

template <class T>
number number_of(const T& x) {
  return {x.timestamp % max_publishers, x.timestamp / max_publishers};
}

std::string to_string(number x);

/// What a strategy has seen over all its lives, and how well it behaves.
struct journal {
  std::string name;
  /// Events in the order they were handled, by symbol.
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
  void handle(const std::string& symbol, number what);
  bool happens(unsigned percent);

private:
  struct record {
    std::set<std::pair<std::string, number>> seen;
    /// By symbol and publisher.
    std::map<std::pair<std::string, std::int64_t>, std::int64_t> highest;
  };

  /// Notes an event. Gives back whether it is behind a later one.
  static bool overtaken_in(record& x, const std::string& symbol, number what);

  record life_;
  record lives_;
};

/// A strategy that subscribes and keeps a journal; "flush" has it answer what it
/// has put off.
caf::actor spawn_strategy(caf::actor_system& system, event_center center, subscription what,
                          std::shared_ptr<journal> seen);

/// The symbol of the candles, whose exchange goes with the broker: there may be no queue.
inline constexpr auto candles = "K";

/// What a publisher has sent, and what it was told, by symbol.
struct sent {
  std::int64_t publisher = 0;
  std::map<std::string, std::int64_t> last;
  std::map<std::string, std::set<number>> confirmed;
  /// Its next start sends these.
  std::map<std::string, std::set<number>> kept;
  /// No queue took these, for certain.
  std::map<std::string, std::set<number>> undelivered;
  /// Without an answer so far.
  std::size_t open = 0;
  /// What no queue takes, and was confirmed nevertheless.
  std::size_t confirmed_into_the_void = 0;
  /// Answered with the error of another one, in words.
  std::vector<std::string> blamed;
};

/// Publishes a persistent numbered event for each ("publish", symbol, whether mandatory): a trade
/// or, for `candles`, a candle; for ("publish", symbol, whether mandatory, id) beside it, with the
/// same message id, what no queue takes; for ("publish", event) that, whatever the answer.
caf::actor spawn_publisher(caf::actor_system& system, event_center center,
                           std::shared_ptr<sent> log);

} // namespace actors::simulation
