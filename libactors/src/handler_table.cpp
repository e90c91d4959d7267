#include "actors/handler_table.hpp"

#include <algorithm>

#include "actors/topic.hpp"

namespace actors {

const std::string& handler_table::join(std::string_view exchange, std::string_view routing_key) {
  key_.assign(exchange);
  key_ += '\0'; // which no name holds, unlike a colon
  key_ += routing_key;
  return key_;
}

std::vector<handler_table::pattern>::iterator
handler_table::find_wildcard(std::string_view exchange, std::string_view routing_key) {
  return std::find_if(wildcards_.begin(), wildcards_.end(), [&](const pattern& x) {
    return x.exchange == exchange && x.routing_key == routing_key;
  });
}

void handler_table::insert(subscription_id id, std::string_view exchange,
                           std::string_view routing_key) {
  ++size_;
  if (!is_wildcard(routing_key)) {
    exact_[join(exchange, routing_key)].push_back(id);
    return;
  }
  auto i = find_wildcard(exchange, routing_key);
  if (i == wildcards_.end())
    i = wildcards_.insert(i, {std::string{exchange}, std::string{routing_key}, {}});
  i->handlers.push_back(id);
}

bool handler_table::erase(subscription_id id, std::string_view exchange,
                          std::string_view routing_key) {
  auto removed = false;
  if (is_wildcard(routing_key)) {
    auto i = find_wildcard(exchange, routing_key);
    removed = i != wildcards_.end() && std::erase(i->handlers, id) > 0;
    if (removed && i->handlers.empty())
      wildcards_.erase(i);
  } else {
    auto i = exact_.find(join(exchange, routing_key));
    removed = i != exact_.end() && std::erase(i->second, id) > 0;
    if (removed && i->second.empty())
      exact_.erase(i);
  }
  size_ -= removed ? 1 : 0;
  return removed;
}

const std::vector<subscription_id>& handler_table::match(std::string_view exchange,
                                                         std::string_view routing_key) {
  matched_.clear();
  if (auto i = exact_.find(join(exchange, routing_key)); i != exact_.end())
    matched_ = i->second;
  for (auto& x : wildcards_)
    if (x.exchange == exchange && topic_matches(x.routing_key, routing_key))
      matched_.insert(matched_.end(), x.handlers.begin(), x.handlers.end());
  std::sort(matched_.begin(), matched_.end());
  return matched_;
}

const std::vector<subscription_id>& handler_table::bound_to(std::string_view exchange,
                                                            std::string_view routing_key) {
  static const ids none;
  if (is_wildcard(routing_key)) {
    auto i = find_wildcard(exchange, routing_key);
    return i != wildcards_.end() ? i->handlers : none;
  }
  auto i = exact_.find(join(exchange, routing_key));
  return i != exact_.end() ? i->second : none;
}

} // namespace actors
