#pragma once

#include <cstddef>
#include <set>
#include <vector>

#include "actors/amqp/topology.hpp"

namespace actors {

/// Decides which consumers may use a link, where the broker allows few consumers. A consumer keeps
/// its place while its channel or the link is away, so that no newcomer takes it meanwhile. A
/// consumer without a place waits; the first one wanted is served first. A plain value.
class consumer_places {
public:
  /// Sets the number of places; 0 is no limit. If there are too few, the consumers wanted last lose
  /// theirs, and wait.
  void limit(std::size_t count);

  /// Returns whether the consumer has a place now; else it waits for one.
  bool take(amqp::consumer_id id);

  /// The broker refused the consumer: another one may take its place. Waiting consumers keep
  /// waiting.
  void leave(amqp::consumer_id id) {
    holders_.erase(id);
  }

  /// The consumer is not wanted any more.
  void forget(amqp::consumer_id id);

  bool holds(amqp::consumer_id id) const {
    return holders_.contains(id);
  }

  bool waits(amqp::consumer_id id) const {
    return waiting_.contains(id);
  }

  bool any_waits() const noexcept {
    return !waiting_.empty();
  }

  /// Gives the free places to waiting consumers, and returns those consumers.
  std::vector<amqp::consumer_id> take_granted();

private:
  bool is_full() const noexcept {
    return count_ != 0 && holders_.size() >= count_;
  }

  std::size_t count_ = 0;
  // Ids grow with time, so the sets are in the order of being wanted.
  std::set<amqp::consumer_id> holders_;
  std::set<amqp::consumer_id> waiting_;
};

} // namespace actors
