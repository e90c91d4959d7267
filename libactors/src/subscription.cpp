#include "actors/subscription.hpp"

#include "actors/error.hpp"

namespace actors {

namespace {

// The length of an AMQP short string.
constexpr std::size_t max_name = 255;

bool is_any(std::string_view word) noexcept {
  return word == "#";
}

template <class T>
subscription market_data(std::string_view platform, std::string_view symbol) {
  std::string key{platform};
  key += '.';
  key += symbol;
  return subscription::to<T>(std::move(key)).multi(is_any(platform) || is_any(symbol));
}

std::string entity(const subscription& x) {
  return "subscription '" + x.exchange + ':' + x.routing_key + "': ";
}

caf::error too_long(const subscription& x, std::string_view what, std::string_view name) {
  return make_error(ec::invalid_argument,
                    "subscription to exchange '" + x.exchange.substr(0, max_name) + "': the "
                        + std::string{what} + " has " + std::to_string(name.size())
                        + " bytes, allowed are 255");
}

} // namespace

subscription subscription::to_events(std::string exchange, std::string routing_key) {
  subscription result;
  result.exchange = std::move(exchange);
  result.routing_key = std::move(routing_key);
  return result;
}

subscription&& subscription::on_queue(std::string name) && {
  queue = std::move(name);
  return std::move(*this);
}

subscription&& subscription::on_durable_queue(std::string name) && {
  kind = queue_kind::durable;
  queue = std::move(name);
  return std::move(*this);
}

subscription&& subscription::on_quorum_queue(std::string name) && {
  kind = queue_kind::quorum;
  queue = std::move(name);
  return std::move(*this);
}

subscription&& subscription::prefetch(std::uint16_t count) && {
  prefetch_count = count;
  return std::move(*this);
}

subscription&& subscription::multi(bool on) && {
  no_ack = on;
  return std::move(*this);
}

subscription&& subscription::acked(ack_policy policy) && {
  ack = policy;
  if (policy == ack_policy::on_success)
    no_ack = false;
  return std::move(*this);
}

subscription&& subscription::of_type(std::string type) && {
  kline_type = std::move(type);
  return std::move(*this);
}

subscription&& subscription::deduplicated(bool on) && {
  deduplicate = on;
  return std::move(*this);
}

subscription&& subscription::with_stream_events() && {
  stream_events = true;
  return std::move(*this);
}

subscription orderbooks(std::string_view platform, std::string_view symbol) {
  return market_data<orderbook>(platform, symbol);
}

subscription trades(std::string_view platform, std::string_view symbol) {
  return market_data<trade>(platform, symbol);
}

subscription klines(std::string_view platform, std::string_view symbol) {
  return market_data<kline>(platform, symbol);
}

caf::error check(const subscription& x) {
  if (x.exchange.empty())
    return make_error(ec::invalid_argument,
                      entity(x) + "the exchange has no name: give one such as 'Orderbook'");
  if (x.exchange.size() > max_name)
    return too_long(x, "exchange's name", x.exchange);
  if (x.routing_key.size() > max_name)
    return too_long(x, "routing key", x.routing_key);
  if (x.queue && x.queue->size() > max_name)
    return too_long(x, "queue's name", *x.queue);
  if (x.kind != queue_kind::transient && (!x.queue || x.queue->empty()))
    return make_error(ec::invalid_argument,
                      entity(x) + "a queue that is kept needs a name: give it one");
  if (!x.codec.decode)
    return make_error(ec::invalid_argument, entity(x) + "its codec has no decode function");
  if (x.no_ack && x.ack == ack_policy::on_success)
    return make_error(ec::invalid_argument,
                      entity(x)
                          + "no_ack forgets each message on sending it, so its handler's answer "
                            "cannot requeue: choose one");
  if (!x.kline_type.empty() && !x.codec.kline_type)
    return make_error(ec::invalid_argument, entity(x) + "only klines have a type, so '"
                                                + x.kline_type + "' would match nothing");
  return caf::none;
}

amqp::queue queue_for(const subscription& x, std::string name) {
  amqp::queue result;
  result.exclusive = name.empty();
  result.name = std::move(name);
  result.durable = x.kind != queue_kind::transient;
  result.auto_delete = x.kind == queue_kind::transient;
  if (x.kind == queue_kind::quorum)
    result.arguments = {{"x-queue-type", std::string{"quorum"}}};
  return result;
}

} // namespace actors
