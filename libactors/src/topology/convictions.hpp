#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <variant>

#include "actors/amqp/topology.hpp"
#include "actors/ec.hpp"

namespace actors {

/// A consumer as the broker is asked for it, whoever asks.
struct consumer_with_queue {
  amqp::queue queue;
  amqp::consumer consumer;

  bool operator==(const consumer_with_queue&) const = default;
};

/// Remembers for what the broker has ended connections, so that the same is not asked for
/// again where it hurts others, whoever asks: a strategy may subscribe anew each second.
/// Each time it happens again the next attempt is later. A plain value.
class convictions {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// What is asked for: an exchange, a queue, a binding, or a consumer with its queue.
  using thing = std::variant<amqp::exchange, amqp::queue, amqp::binding, consumer_with_queue>;

  static constexpr std::chrono::seconds first_pause{10};
  static constexpr std::chrono::seconds last_pause{320};
  /// Of more than these the oldest are forgotten.
  static constexpr std::size_t max_things = 1'000;

  struct entry {
    thing culprit;
    /// In the broker's words.
    failure reason;
    std::chrono::seconds pause{0};
    time_point not_before;
  };

  /// The broker ended a connection for it.
  void add(thing what, failure reason, time_point now);

  /// Null, if it never did.
  const entry* find(const thing& what) const;

  /// Whether it may be tried again.
  bool due(const thing& what, time_point now) const;

  /// It is being tried, and not again before this pause has passed.
  void tried(const thing& what, time_point now);

  /// It did no harm this time.
  void worked(const thing& what);

  /// The broker has changed.
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
