#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "actors/subscription.hpp"

namespace actors {

/// Handlers by the binding key of a topic exchange, word by word: the cost of a message grows with
/// the words of its routing key, not with the number of binding keys. Agrees with `topic_matches`.
class topic_tree {
public:
  using ids = std::vector<subscription_id>;

  topic_tree();
  ~topic_tree();
  topic_tree(topic_tree&&) noexcept;
  topic_tree& operator=(topic_tree&&) noexcept;

  void insert(subscription_id id, std::string_view binding_key);

  /// Removes a handler. False: the handler is not there.
  bool erase(subscription_id id, std::string_view binding_key);

  /// Appends the handlers of all binding keys that match, in no order, each once.
  void match(std::string_view routing_key, ids& out);

  /// Returns the handlers of exactly this binding key, in order of insertion.
  const ids& bound_to(std::string_view binding_key) const;

  bool empty() const noexcept;

private:
  struct node;

  /// The nodes that the words so far lead to.
  using places = std::vector<node*>;

  static bool erase(node& from, std::string_view rest, bool done, subscription_id id);
  void enter(node& from, places& to) const;

  std::unique_ptr<node> root_;
  places now_;
  places next_;
  std::uint64_t step_ = 0;
};

} // namespace actors
