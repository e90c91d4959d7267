#pragma once

#include <functional>
#include <string>
#include <vector>

#include "poison/attempt.hpp"

namespace actors::poison {

/// One bad thing.
struct bad_case {
  std::string name;
  std::function<void(attempt&)> act;
  /// What it is answered with.
  answer expected = answer::any;
  /// Whether it needs a relay, or a real broker.
  bool relay_only = false;
  bool rabbitmq_only = false;
};

std::vector<bad_case> bad_subscriptions();
std::vector<bad_case> bad_publications();
std::vector<bad_case> bad_messages();
std::vector<bad_case> bad_handlers();
std::vector<bad_case> strangers();

} // namespace actors::poison
