#pragma once

#include <functional>
#include <string>
#include <vector>

#include "poison/attempt.hpp"

namespace actors::poison {

/// What a case cannot do without.
enum class need : std::uint8_t { nothing, relay, rabbitmq, few_rights };

/// One bad thing.
struct bad_case {
  std::string name;
  std::function<void(attempt&)> act;
  /// What it is answered with.
  answer expected = answer::any;
  need needs = need::nothing;
};

std::vector<bad_case> bad_subscriptions();
std::vector<bad_case> bad_publications();
std::vector<bad_case> bad_messages();
std::vector<bad_case> bad_handlers();
std::vector<bad_case> strangers();
std::vector<bad_case> denied();

} // namespace actors::poison
