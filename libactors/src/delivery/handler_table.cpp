#include "delivery/handler_table.hpp"

#include <algorithm>

#include "amqp/topic.hpp"

namespace actors {

const std::string& handler_table::join(std::string_view exchange, std::string_view routing_key) {
  key_.assign(exchange);
  key_ += '\0'; // a NUL is in no name, a colon may be
  key_ += routing_key;
  return key_;
}

void handler_table::insert(subscription_id id, std::string_view exchange,
                           std::string_view routing_key) {
  ++size_;
  if (!is_wildcard(routing_key)) {
    exact_[join(exchange, routing_key)].push_back(id);
    return;
  }
  wildcards_[std::string{exchange}].insert(id, routing_key);
}

bool handler_table::erase(subscription_id id, std::string_view exchange,
                          std::string_view routing_key) {
  auto removed = false;
  if (is_wildcard(routing_key)) {
    auto i = wildcards_.find(exchange);
    removed = i != wildcards_.end() && i->second.erase(id, routing_key);
    if (removed && i->second.empty())
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
  if (auto i = wildcards_.find(exchange); i != wildcards_.end())
    i->second.match(routing_key, matched_);
  std::sort(matched_.begin(), matched_.end());
  return matched_;
}

const std::vector<subscription_id>& handler_table::bound_to(std::string_view exchange,
                                                            std::string_view routing_key) {
  static const ids none;
  if (is_wildcard(routing_key)) {
    auto i = wildcards_.find(exchange);
    return i != wildcards_.end() ? i->second.bound_to(routing_key) : none;
  }
  auto i = exact_.find(join(exchange, routing_key));
  return i != exact_.end() ? i->second : none;
}

} // namespace actors
