#include "amqp/memory/dead_letters.hpp"

#include <algorithm>

namespace actors::amqp::memory {

std::string_view to_string(death::cause x) noexcept {
  switch (x) {
  case death::cause::rejected:
    return "rejected";
  case death::cause::expired:
    return "expired";
  case death::cause::maxlen:
    return "maxlen";
  case death::cause::delivery_limit:
    return "delivery_limit";
  }
  return "unknown";
}

message_ptr dead_lettered(const message& source, const std::string& queue, const queue_rules& rules,
                          death::cause reason) {
  message result = source;
  result.properties.expiration = {}; // it would expire again where it comes to
  result.exchange = rules.dead_letter_exchange.value_or("");
  result.routing_key = rules.dead_letter_routing_key.value_or(source.routing_key);
  if (source.deaths.empty()) {
    auto& headers = result.properties.headers;
    set_field(headers, "x-first-death-queue", queue);
    set_field(headers, "x-first-death-reason", std::string{to_string(reason)});
    set_field(headers, "x-first-death-exchange", source.exchange);
  }
  const death now{queue, reason};
  std::erase(result.deaths, now);
  result.deaths.insert(result.deaths.begin(), now);
  return std::make_shared<const message>(std::move(result));
}

bool goes_in_circles(const message& dead, std::string_view queue) {
  auto first = dead.deaths.begin();
  auto before = std::find_if(first, dead.deaths.end(), [&](auto& x) { return x.queue == queue; });
  return before != dead.deaths.end() && std::none_of(first, before + 1, [](auto& x) {
           return x.reason == death::cause::rejected;
         });
}

} // namespace actors::amqp::memory
