#include "actors/handler_table.hpp"

#include <algorithm>

#include "actors/topic.hpp"

namespace actors {

void handler_table::join(std::string& out, std::string_view exchange,
                         std::string_view routing_key) {
  out.assign(exchange);
  out += '\0'; // which no name holds, unlike a colon
  out += routing_key;
}

void handler_table::insert(subscription_id id, std::string_view exchange,
                           std::string_view routing_key) {
  ++size_;
  if (is_wildcard(routing_key)) {
    wildcards_.push_back({std::string{exchange}, std::string{routing_key}, id});
    return;
  }
  join(key_, exchange, routing_key);
  exact_[key_].push_back(id);
}

bool handler_table::erase(subscription_id id) {
  auto removed = std::erase_if(wildcards_, [id](const pattern& x) { return x.id == id; });
  for (auto i = exact_.begin(); removed == 0 && i != exact_.end(); ++i) {
    removed = std::erase(i->second, id);
    if (i->second.empty()) {
      exact_.erase(i);
      break;
    }
  }
  size_ -= removed;
  return removed > 0;
}

const std::vector<subscription_id>& handler_table::match(std::string_view exchange,
                                                         std::string_view routing_key) {
  matched_.clear();
  join(key_, exchange, routing_key);
  if (auto i = exact_.find(key_); i != exact_.end())
    matched_ = i->second;
  for (auto& x : wildcards_)
    if (x.exchange == exchange && topic_matches(x.routing_key, routing_key))
      matched_.push_back(x.id);
  std::sort(matched_.begin(), matched_.end());
  return matched_;
}

bool handler_table::uses(std::string_view exchange, std::string_view routing_key) const {
  if (!is_wildcard(routing_key)) {
    std::string key;
    join(key, exchange, routing_key);
    return exact_.contains(key);
  }
  return std::any_of(wildcards_.begin(), wildcards_.end(), [&](const pattern& x) {
    return x.exchange == exchange && x.routing_key == routing_key;
  });
}

} // namespace actors
