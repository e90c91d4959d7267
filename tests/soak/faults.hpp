#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "soak/fleet.hpp"
#include "support/broker_folder.hpp"
#include "support/chaos_proxy.hpp"

namespace actors::soak {

/// What can be done to a fleet.
struct target {
  testing::broker_folder& broker;
  testing::chaos_proxy& proxy;
  soak::fleet& fleet;
  std::mt19937_64& random;
};

using time_point = std::chrono::steady_clock::time_point;

/// One kind of fault.
struct fault {
  /// As the table names it.
  const char* name;
  /// Lets it happen and puts an end to it. Gives back when the fleet could begin to
  /// recover: when the fault was over or, if it is of a moment or for the fleet to
  /// find out, when it began. Nothing: it was of no effect, which is a mistake.
  std::optional<time_point> (*happens)(target& on);
  /// The broker may take a dead link to be alive for a while.
  bool leaves_dead_links = false;
};

const std::vector<fault>& all_faults();

/// Kinds of fault in random order, each as often as the others.
class deck {
public:
  /// Of the kinds whose names hold this text. There must be one.
  explicit deck(std::string wanted = {});

  const fault& draw(std::mt19937_64& random);

private:
  bool matches(const fault& x) const;

  std::string wanted_;
  std::vector<const fault*> cards_;
};

} // namespace actors::soak
