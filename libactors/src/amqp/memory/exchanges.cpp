#include "amqp/memory/exchanges.hpp"

#include <algorithm>
#include <tuple>

#include "amqp/memory/refusals.hpp"
#include "amqp/topic.hpp"

#include "amqp/wire_rules.hpp"

namespace actors::amqp::memory {

namespace {

std::string_view text_of(bool x) {
  return x ? "'true'" : "'false'";
}

std::string describe(const std::string& exchange) {
  return "exchange " + quoted(exchange);
}

bool matches(exchange_type type, std::string_view binding_key, std::string_view routing_key) {
  switch (type) {
  case exchange_type::topic:
    return topic_matches(binding_key, routing_key);
  case exchange_type::direct:
    return binding_key == routing_key;
  case exchange_type::fanout:
  case exchange_type::headers:
    // Our bindings have no arguments, so a headers exchange has nothing to compare.
    return true;
  }
  return false;
}

} // namespace

bool is_reserved(std::string_view name) noexcept {
  return name.starts_with("amq.");
}

exchanges::exchanges() {
  const std::pair<const char*, exchange_type> predeclared[] = {
      {"amq.direct", exchange_type::direct},   {"amq.fanout", exchange_type::fanout},
      {"amq.headers", exchange_type::headers}, {"amq.match", exchange_type::headers},
      {"amq.topic", exchange_type::topic},
  };
  for (auto& [name, type] : predeclared)
    entries_.emplace(name, entry{exchange{name, type, true}, {}});
}

failure exchanges::declare(const exchange& wanted, bool passive) {
  if (wanted.name.empty())
    return access_refused("operation not permitted on the default exchange");
  auto i = entries_.find(wanted.name);
  if (i == entries_.end()) {
    if (passive)
      return not_found("no " + describe(wanted.name));
    if (is_reserved(wanted.name))
      return access_refused("exchange name '" + wanted.name + "' contains reserved prefix 'amq.*'");
    entries_.emplace(wanted.name, entry{wanted, {}});
    return {};
  }
  if (passive)
    return {};
  auto& current = i->second.spec;
  if (wanted.type != current.type)
    return inequivalent("type", describe(wanted.name), quoted(to_string(wanted.type)),
                        quoted(to_string(current.type)));
  if (wanted.durable != current.durable)
    return inequivalent("durable", describe(wanted.name), text_of(wanted.durable),
                        text_of(current.durable));
  if (wanted.auto_delete != current.auto_delete)
    return inequivalent("auto_delete", describe(wanted.name), text_of(wanted.auto_delete),
                        text_of(current.auto_delete));
  return {};
}

bool exchanges::erase(const std::string& name) {
  return entries_.erase(name) > 0;
}

failure exchanges::check(const std::string& name) const {
  if (name.empty())
    return access_refused("operation not permitted on the default exchange");
  if (entries_.count(name) == 0)
    return not_found("no " + describe(name));
  return {};
}

void exchanges::bind(const binding& x) {
  entries_.at(x.exchange).routes[x.routing_key].insert(x.queue);
}

void exchanges::unbind(const binding& removed) {
  auto i = entries_.find(removed.exchange);
  if (i == entries_.end())
    return;
  auto& routes = i->second.routes;
  auto route = routes.find(removed.routing_key);
  if (route == routes.end() || route->second.erase(removed.queue) == 0)
    return;
  if (route->second.empty())
    routes.erase(route);
  erase_if_unused(i);
}

void exchanges::unbind_queue(const std::string& queue) {
  for (auto i = entries_.begin(); i != entries_.end();) {
    auto& routes = i->second.routes;
    auto was_bound = false;
    for (auto& [key, queues] : routes)
      was_bound |= queues.erase(queue) > 0;
    std::erase_if(routes, [](auto& route) { return route.second.empty(); });
    i = was_bound ? erase_if_unused(i) : std::next(i);
  }
}

void exchanges::keep_durable() {
  std::erase_if(entries_, [](auto& x) { return !x.second.spec.durable; });
}

std::optional<std::vector<std::string_view>> exchanges::route(const std::string& exchange,
                                                              std::string_view routing_key) const {
  auto i = entries_.find(exchange);
  if (i == entries_.end())
    return std::nullopt;
  std::vector<std::string_view> result;
  for (auto& [binding_key, queues] : i->second.routes)
    if (matches(i->second.spec.type, binding_key, routing_key))
      result.insert(result.end(), queues.begin(), queues.end());
  std::sort(result.begin(), result.end());
  result.erase(std::unique(result.begin(), result.end()), result.end());
  return result;
}

std::vector<binding> exchanges::bindings() const {
  std::vector<binding> result;
  for (auto& [name, bound] : entries_)
    for (auto& [key, queues] : bound.routes)
      for (auto& queue : queues)
        result.push_back({name, queue, key});
  auto order = [](const binding& x) { return std::tie(x.exchange, x.queue, x.routing_key); };
  std::sort(result.begin(), result.end(),
            [&](auto& left, auto& right) { return order(left) < order(right); });
  return result;
}

exchanges::entry_map::iterator exchanges::erase_if_unused(entry_map::iterator i) {
  auto unused = i->second.spec.auto_delete && i->second.routes.empty();
  return unused ? entries_.erase(i) : std::next(i);
}

} // namespace actors::amqp::memory
