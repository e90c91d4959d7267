#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <variant>

#include "actors/amqp/topology.hpp"
#include "actors/ec.hpp"

namespace actors {

/// A consumer with its queue, as requested from the broker, without the consumer's id.
struct consumer_with_queue {
  amqp::queue queue;
  amqp::consumer consumer;

  bool operator==(const consumer_with_queue&) const = default;
};

/// Remembers the requests for which the broker has ended connections, so that no strategy repeats
/// one on a link where it harms others: a strategy may subscribe anew each second. Each repeated
/// end lengthens the pause before the next attempt. A plain value.
class convictions {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// The culprit of a connection's end: an exchange, a queue, a binding, or a consumer with its
  /// queue.
  using thing = std::variant<amqp::exchange, amqp::queue, amqp::binding, consumer_with_queue>;

  static constexpr std::chrono::seconds first_pause{10};
  static constexpr std::chrono::seconds last_pause{320};
  /// Of more culprits than these the oldest are forgotten.
  static constexpr std::size_t max_things = 1'000;

  struct entry {
    thing culprit;
    /// The broker's own text.
    failure reason;
    std::chrono::seconds pause{0};
    time_point not_before;
  };

  /// The broker ended a connection for this culprit.
  void add(thing culprit, failure reason, time_point now);

  /// Returns null for a culprit that is not known.
  const entry* find(const thing& culprit) const;

  /// Whether a culprit may be tried again.
  bool due(const thing& culprit, time_point now) const;

  /// The culprit is being tried now; its pause begins anew.
  void tried(const thing& culprit, time_point now);

  /// The culprit did no harm this time: its pause is the shortest again, and it may be tried at
  /// once.
  void worked(const thing& culprit);

  /// Another broker has answered: no conviction holds for it.
  void clear() noexcept {
    entries_.clear();
  }

  bool empty() const noexcept {
    return entries_.empty();
  }

private:
  std::deque<entry> entries_;
};

} // namespace actors
