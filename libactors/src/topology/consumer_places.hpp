#pragma once

#include <cstddef>
#include <set>
#include <vector>

#include "actors/amqp/topology.hpp"

namespace actors {

/// Who may consume by a link, where the broker allows few consumers. Whoever has a place keeps
/// it while its channel or the link is away, so that no newcomer takes it meanwhile. Whoever
/// finds none waits, the first that was wanted first. A plain value.
class consumer_places {
public:
  /// From now on there are `count` places; 0 is any number. Where that is too few, the last
  /// that were wanted lose theirs, and wait.
  void limit(std::size_t count);

  /// Whether it has a place now; else it waits for one.
  bool take(amqp::consumer_id id);

  /// It was refused: another may have its place. Whoever waits goes on waiting.
  void leave(amqp::consumer_id id) {
    holders_.erase(id);
  }

  /// Nobody wants it any more.
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

  /// Gives the free places to those that wait.
  std::vector<amqp::consumer_id> take_granted();

private:
  bool is_full() const noexcept {
    return count_ != 0 && holders_.size() >= count_;
  }

  std::size_t count_ = 0;
  // Ids grow with time.
  std::set<amqp::consumer_id> holders_;
  std::set<amqp::consumer_id> waiting_;
};

} // namespace actors
