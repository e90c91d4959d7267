#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>

#include "actors/event_center.hpp"

namespace actors::poison {

class healthy_books;

/// Three subscriptions that do nothing wrong and a publisher of 500 events a second for
/// them: whatever others do beside them, they must not notice.
class healthy {
public:
  /// The first word of all names that it uses.
  healthy(caf::actor_system& system, const event_center& center, const std::string& name);

  ~healthy();

  healthy(const healthy&) = delete;
  healthy& operator=(const healthy&) = delete;

  /// Whether all of it is at work within the limit.
  bool starts_within(std::chrono::milliseconds limit);

  /// Waits until so many further events were answered, and as many handled by those who
  /// keep them, or as long as the limit.
  void watch(std::uint64_t events, std::chrono::milliseconds limit);

  /// What went wrong since the last call, in words: waits longer than this, blame, doubles.
  std::vector<std::string> problems(std::chrono::milliseconds longest_wait);

  /// Stops publishing; what was lost in the end.
  std::vector<std::string> finish(std::chrono::milliseconds limit);

private:
  std::string name_;
  std::shared_ptr<healthy_books> books_;
  caf::actor publisher_;
  std::vector<caf::actor> strategies_;
};

} // namespace actors::poison
