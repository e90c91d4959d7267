#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "publishing/outbox.hpp"

namespace actors::testing {

inline amqp::publication message(std::uint64_t id, std::string exchange = "Trade") {
  amqp::publication result;
  result.id = id;
  result.exchange = std::move(exchange);
  result.routing_key = "k";
  result.body = std::make_shared<const std::string>(4, 'x');
  return result;
}

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
