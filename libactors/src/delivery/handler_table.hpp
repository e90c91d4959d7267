#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "actors/subscription.hpp"
#include "delivery/topic_tree.hpp"

namespace actors {

/// The handlers of one consumer, by `exchange:routing_key`. Each handler is in the table once: a
/// message whose key matches several patterns of a queue reaches each handler once, and only if the
/// handler's own pattern matches. Exact keys are found by hash, wildcards word by word.
class handler_table {
public:
  /// Adds a handler for messages of `exchange` with a matching routing key.
  void insert(subscription_id id, std::string_view exchange, std::string_view routing_key);

  /// Removes a handler with its binding. False: the handler is not there.
  bool erase(subscription_id id, std::string_view exchange, std::string_view routing_key);

  /// Returns the handlers of a message, ascending; valid until the next call.
  const std::vector<subscription_id>& match(std::string_view exchange,
                                            std::string_view routing_key);

  /// Returns the handlers with exactly this binding, in order of insertion.
  const std::vector<subscription_id>& bound_to(std::string_view exchange,
                                               std::string_view routing_key);

  std::size_t size() const noexcept {
    return size_;
  }

  bool empty() const noexcept {
    return size_ == 0;
  }

private:
  using ids = std::vector<subscription_id>;

  /// Joins exchange and routing key to one key, valid until the next call.
  const std::string& join(std::string_view exchange, std::string_view routing_key);

  /// Handlers by joined exchange and routing key.
  std::unordered_map<std::string, ids> exact_;
  /// Wildcard handlers by exchange.
  std::map<std::string, topic_tree, std::less<>> wildcards_;
  ids matched_;
  std::string key_;
  std::size_t size_ = 0;
};

} // namespace actors
