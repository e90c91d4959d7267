#pragma once

#include <string>
#include <vector>

#include "actors/event_center.hpp"
#include "support/audit.hpp"

namespace actors::soak {

/// One strategy of a row.
struct plan {
  std::string name;
  /// Which of the strategies' event centers it is in.
  std::size_t center = 0;
  subscription what;
  /// Whether what is promised holds although its handler fails.
  bool may_fail = true;
};

/// How one kind of event is published and handled, and what is promised for it: a row of the
/// first table of docs/delivery-guarantees.md with the settings that it names and no others, or
/// "desks", where all that can be promised is.
struct row {
  std::string name;
  /// Of its own; durable as it is by default, or as AIOQuant's.
  amqp::exchange exchange;
  publish_options options;
  /// Each publisher has routing keys of its own, in which its name comes last.
  bool own_keys = false;
  std::vector<std::string> keys;
  testing::promise promised;
  std::vector<plan> strategies;

  /// The keys that this publisher uses.
  std::vector<std::string> keys_of(const std::string& publisher) const;
};

const std::vector<row>& all_rows();

} // namespace actors::soak
