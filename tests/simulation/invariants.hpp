#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "actors/amqp/memory_broker.hpp"
#include "center/messages.hpp"
#include "simulation/strategy.hpp"

namespace actors::simulation {

/// Whether events of one symbol and publisher are handled in order.
enum class order_promise { none, within_a_life, over_all_lives };

/// A strategy of the simulation and what is promised to it.
struct promise_to {
  std::shared_ptr<const journal> seen;
  /// Every event of these symbols that is confirmed, or kept for the next start, is handled, or
  /// a dead letter.
  std::set<std::string> symbols;
  bool never_twice = false;
  order_promise order = order_promise::none;
};

/// A symbol and a number that went to the dead letters.
using dead_letters = std::set<std::pair<std::string, number>>;

using violations = std::vector<std::string>;

void check_nothing_lost(const promise_to& x, const sent& from, const dead_letters& dead,
                        violations& out);
/// What is told not to be delivered is handled by nobody.
void check_undelivered(const promise_to& x, const sent& from, violations& out);
/// Nobody is told what is true of another publication only.
void check_answers(const sent& from, violations& out);

void check_nothing_twice(const promise_to& x, violations& out);
void check_order(const promise_to& x, violations& out);

/// Queue and consumers, "name count" each, by name.
void check_topology(const amqp::memory_broker& broker, const std::vector<std::string>& expected,
                    std::size_t bindings, violations& out);

/// But for queues that keep what was read.
void check_nothing_left(const amqp::memory_broker& broker, const std::set<std::string>& kept,
                        violations& out);
void check_nothing_left(const center_status& x, violations& out);

/// What may wait at any time.
struct bounds {
  std::uint64_t outbox = 0;
  /// For each handler, by its queue.
  std::map<std::string, std::uint64_t> windows;
};

void check_bounded(const center_status& x, const bounds& limits, violations& out);

} // namespace actors::simulation
