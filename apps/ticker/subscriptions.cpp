#include "ticker/subscriptions.hpp"

#include <memory>
#include <utility>

#include "actors/error.hpp"
#include "program/command_line.hpp"

namespace ticker {

namespace {

/// Many in flight: one ticker follows a whole market.
constexpr std::uint16_t prefetch_count = 500;

actors::subscription make_subscription(std::string exchange, std::string routing_key, bool typed) {
  using actors::subscription;
  if (typed && exchange == actors::orderbook::exchange)
    return subscription::to<actors::orderbook>(std::move(routing_key));
  if (typed && exchange == actors::trade::exchange)
    return subscription::to<actors::trade>(std::move(routing_key));
  if (typed && exchange == actors::kline::exchange)
    return subscription::to<actors::kline>(std::move(routing_key));
  return subscription::to_events(std::move(exchange), std::move(routing_key));
}

struct progress {
  std::size_t open = 0;
  std::string confirmed;
};

} // namespace

caf::expected<actors::subscription> parse_key(std::string_view key, bool typed) {
  if (key.find("://") != std::string_view::npos)
    return actors::make_error(actors::ec::invalid_argument,
                              "'" + std::string{key} + "' is a URL: give it by --broker");
  const auto colon = key.find(':');
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == key.size())
    return actors::make_error(actors::ec::invalid_argument,
                              "the key '" + std::string{key}
                                  + "' is not like Exchange:routing.key, e.g. Orderbook:binance.#");
  auto result = make_subscription(std::string{key.substr(0, colon)},
                                  std::string{key.substr(colon + 1)}, typed)
                    .prefetch(prefetch_count);
  if (auto err = actors::check(result))
    return err;
  return result;
}

void subscribe_all(caf::event_based_actor* self, const actors::event_center& center,
                   std::vector<actors::subscription> wanted) {
  auto all = std::make_shared<progress>();
  all->open = wanted.size();
  for (auto& what : wanted)
    center.subscribe(self, std::move(what))
        .then(
            [all](const actors::subscribed& x) {
              all->confirmed += all->confirmed.empty() ? " " : ", ";
              all->confirmed += x.exchange + ":" + x.routing_key;
              if (--all->open == 0)
                program::say("ticker", "subscribed to" + all->confirmed);
            },
            [self](const caf::error& err) { self->quit(err); });
}

} // namespace ticker
