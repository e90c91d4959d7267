#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <caf/behavior.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>

#include "actors/event_center.hpp"
#include "support/audit.hpp"

namespace actors::testing {

struct numbered_publisher_settings {
  std::string name;
  /// One event with each of these at a time.
  std::vector<std::string> keys;
  std::chrono::milliseconds pace{20};
  /// It waits while more than these have no answer.
  std::uint64_t max_open = 5'000;
  std::string exchange{numbered::exchange};
  /// By default they outlive the broker, and are not counted as confirmed when no queue took
  /// them.
  publish_options options{.mandatory = true, .persistent = true};
};

struct numbered_publisher_state {
  bool running = false;
  /// A flush_atom is on its way to itself.
  bool ticking = false;

  static inline const char* name = "numbered_publisher";
};

/// Publishes numbered events.
///
/// | message | answer |
/// | --- | --- |
/// | start_atom | nothing; goes on with it |
/// | stop_atom | nothing; pauses |
caf::behavior numbered_publisher(caf::stateful_actor<numbered_publisher_state>* self,
                                 event_center center, numbered_publisher_settings settings,
                                 std::shared_ptr<audit> books);

/// What a strategy is made to do, from any thread.
struct mood {
  /// With every event that has an even number.
  std::atomic<bool> fails = false;
  /// With the next event; once.
  std::atomic<bool> crashes = false;
};

struct numbered_strategy_settings {
  std::string name;
  subscription what;
};

/// A strategy that keeps books on the numbered events it handles. Ends when it cannot
/// subscribe, or by its mood.
caf::behavior numbered_strategy(caf::event_based_actor* self, event_center center,
                                numbered_strategy_settings settings, std::shared_ptr<audit> books,
                                std::shared_ptr<mood> its_mood);

/// Numbered events with this key, each handled and in order: from a queue that is kept,
/// by one consumer at a time, each acknowledged once its handler has returned.
subscription every_numbered(const std::string& key, const std::string& queue);

} // namespace actors::testing
