#pragma once

#include <cstdint>
#include <vector>

#include "actors/outbox.hpp"

namespace actors::testing {

using ids = std::vector<std::uint64_t>;

inline ids ids_of(const std::vector<amqp::publication>& xs) {
  ids result;
  for (auto& x : xs)
    result.push_back(x.id);
  return result;
}

inline ids ids_of(const std::vector<outbox::remainder>& xs) {
  ids result;
  for (auto& x : xs)
    result.push_back(x.message.id);
  return result;
}

} // namespace actors::testing
