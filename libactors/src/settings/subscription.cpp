#include "actors/subscription.hpp"

#include <string>
#include <utility>

#include "actors/error.hpp"
#include "amqp/transport.hpp"
#include "amqp/wire_rules.hpp"
#include "delivery/retry.hpp"
#include "delivery/unmatched_messages.hpp"
#include "settings/subscription_queues.hpp"

namespace actors {

namespace {

// The length of an AMQP short string.
constexpr std::size_t max_name = 255;

constexpr std::string_view no_room =
    "the queue's name leaves no room for the names of the queues beside it: shorten it";

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
  return "subscription '" + to_string(x) + "': ";
}

caf::error refused(const subscription& x, std::string_view why) {
  return make_error(ec::invalid_argument, entity(x) + std::string{why});
}

caf::error too_long(const subscription& x, std::string_view what, std::string_view name) {
  return make_error(ec::invalid_argument,
                    "subscription to exchange '" + x.exchange.substr(0, max_name) + "': the "
                        + std::string{what} + " has " + std::to_string(name.size())
                        + " bytes, allowed are 255");
}

/// Whether a queue of this name is beside another one: messages rest there, to come back.
bool is_beside_another(std::string_view queue) noexcept {
  const auto dot = queue.rfind('.');
  if (dot == queue.npos)
    return false;
  const auto last = queue.substr(dot + 1);
  const auto is_number = !last.empty() && last.find_first_not_of("0123456789") == last.npos;
  return last == "unmatched" || (is_number && queue.substr(0, dot).ends_with(".retry"));
}

caf::error check_names(const subscription& x) {
  if (x.exchange.empty())
    return refused(x, "the exchange has no name: give one such as 'Orderbook'");
  if (x.exchange.size() > max_name)
    return too_long(x, "exchange's name", x.exchange);
  if (x.routing_key.size() > max_name)
    return too_long(x, "routing key", x.routing_key);
  if (x.queue && x.queue->size() > max_name)
    return too_long(x, "queue's name", *x.queue);
  if (is_kept(x) && (!x.queue || x.queue->empty()))
    return refused(x, "a queue that is kept needs a name: give it one");
  if (gives_back_unmatched(x) && unmatched_queue_name(*x.queue).size() > max_name)
    return refused(x, no_room);
  if (x.queue && is_beside_another(*x.queue))
    return refused(x,
                   "messages of another queue rest in a queue of this name, and would be lost to "
                   "that one: name another queue");
  return caf::none;
}

caf::error check_queue(const subscription& x) {
  if (x.limits.delivery_limit != 0 && x.kind != queue_kind::quorum)
    return refused(x, "only quorum queues have a delivery limit: use on_quorum_queue");
  if (x.limits.delivery_limit < queue_limits::without_limit)
    return refused(x, "a delivery limit is 1 or more, or queue_limits::without_limit");
  if (x.limits.message_ttl.count() < 0 || x.limits.expires.count() < 0)
    return refused(x, "a queue's limits are 0 or more");
  if (x.single_active && x.kind != queue_kind::durable && x.kind != queue_kind::quorum)
    return refused(x,
                   "a single active consumer is for a queue that is kept: use on_durable_queue or "
                   "on_quorum_queue");
  if (x.kind != queue_kind::stream)
    return caf::none;
  if (x.no_ack || x.prefetch_count == 0)
    return refused(x, "a stream is read with acknowledgements and a prefetch count");
  if (x.limits.message_ttl.count() > 0 || x.limits.expires.count() > 0 || x.limits.max_length > 0)
    return refused(x, "of the limits a stream knows max_length_bytes alone");
  if (x.error == error_policy::requeue || x.error == error_policy::retry)
    return refused(x, "a stream takes no message back: choose reject or dead_letter");
  return caf::none;
}

caf::error check_retry(const subscription& x) {
  if (!has_dead_letters(x))
    return caf::none;
  if (!is_kept(x))
    return refused(x, "retries and dead letters need a queue that is kept: use on_durable_queue or "
                      "on_quorum_queue");
  if (longest_name(*x.queue, x.retry) > max_name)
    return refused(x, no_room);
  if (!moves_failures(x) || x.error != error_policy::retry)
    return caf::none;
  auto& policy = x.retry;
  if (policy.delay.count() < 1 || policy.max_delay < policy.delay || !(policy.factor >= 1)
      || policy.max_retries < 1 || policy.max_retries > 100)
    return refused(x, "a retry needs a delay of at least 1 ms, a max_delay that is not shorter, a "
                      "factor of at least 1 and 1 to 100 retries");
  return caf::none;
}

caf::error check_effect(const subscription& x) {
  if (x.no_ack && x.prefetch_count != subscription{}.prefetch_count)
    return refused(x, "a prefetch count has no effect with no_ack, which '#' as platform or symbol "
                      "switches on: leave one out, no_ack by multi(false)");
  if (x.ack == ack_policy::on_success && x.window != delivery_limits{})
    return refused(x, "what waits on success is bounded by the prefetch count, so keeping has no "
                      "effect: leave it out");
  if (x.ack == ack_policy::on_dispatch && x.kind != queue_kind::stream
      && x.error != error_policy::requeue)
    return refused(x, "what becomes of failed messages has no effect on dispatch: acknowledge on "
                      "success or leave it out");
  if (x.time_limit.count() < 0 || x.stale_after.count() < 0)
    return refused(x, "a time limit and an age are 0 or more");
  return caf::none;
}

caf::error check_handler(const subscription& x) {
  if (!x.codec.decode)
    return refused(x, "its codec has no decode function");
  if (x.no_ack && x.ack == ack_policy::on_success)
    return refused(x, "no_ack forgets each message on sending it, so its handler's answer cannot "
                      "requeue: choose one");
  if (!x.subject.empty() && !x.codec.subject)
    return refused(x, "its events have no subject (subject_of), so '" + x.subject
                          + "' would match nothing");
  return caf::none;
}

/// Refuses values that AMQP or RabbitMQ cannot take, e.g. invalid UTF-8 or an unknown offset.
caf::error check_wire(const subscription& x) {
  const auto queue = x.queue.value_or("default");
  amqp::consumer consumer{.queue = queue, .prefetch_count = x.prefetch_count, .no_ack = x.no_ack};
  if (x.kind == queue_kind::stream)
    consumer.arguments = {{"x-stream-offset", x.offset}};
  const amqp::operation operations[]{amqp::declare_exchange{{.name = x.exchange}},
                                     amqp::declare_queue{queue_for(x, queue)},
                                     amqp::bind_queue{{x.exchange, queue, x.routing_key}},
                                     amqp::start_consumer{std::move(consumer)}};
  for (auto& operation : operations)
    if (auto refusal = amqp::check(operation))
      return make_error(refusal.code, "subscription: " + refusal.text);
  return caf::none;
}

} // namespace

std::string_view to_string(error_policy x) noexcept {
  switch (x) {
  case error_policy::requeue:
    return "requeue";
  case error_policy::reject:
    return "reject";
  case error_policy::dead_letter:
    return "dead_letter";
  case error_policy::retry:
    return "retry";
  }
  return "?";
}

subscription subscription::to_events(std::string exchange, std::string routing_key) {
  subscription result;
  result.exchange = std::move(exchange);
  result.routing_key = std::move(routing_key);
  return result;
}

subscription subscription::on_queue(std::string name) const {
  auto result = *this;
  result.queue = std::move(name);
  return result;
}

subscription subscription::on_durable_queue(std::string name) const {
  auto result = on_queue(std::move(name));
  result.kind = queue_kind::durable;
  return result;
}

subscription subscription::on_quorum_queue(std::string name) const {
  auto result = on_queue(std::move(name));
  result.kind = queue_kind::quorum;
  return result;
}

subscription subscription::on_stream(std::string name, amqp::field_value from) const {
  auto result = on_queue(std::move(name));
  result.kind = queue_kind::stream;
  result.offset = std::move(from);
  result.prefetch_count = 100;
  result.no_ack = false;
  if (error == error_policy::requeue)
    result.error = error_policy::reject;
  return result;
}

subscription subscription::limited(queue_limits x) const {
  auto result = *this;
  result.limits = x;
  return result;
}

subscription subscription::single_active_consumer() const {
  auto result = *this;
  result.single_active = true;
  return result;
}

subscription subscription::prefetch(std::uint16_t count) const {
  auto result = *this;
  result.prefetch_count = count;
  return result;
}

subscription subscription::pre_fetch_count(std::uint16_t count) const {
  return prefetch(count);
}

subscription subscription::auto_acked(bool on) const {
  auto result = *this;
  result.no_ack = on;
  return result;
}

subscription subscription::multi(bool on) const {
  return auto_acked(on);
}

subscription subscription::acked(ack_policy policy) const {
  auto result = *this;
  result.ack = policy;
  if (policy == ack_policy::on_success)
    result.no_ack = false;
  return result;
}

subscription subscription::on_error(error_policy policy) const {
  auto result = acked(ack_policy::on_success);
  result.error = policy;
  return result;
}

subscription subscription::dead_lettered() const {
  return on_error(error_policy::dead_letter);
}

subscription subscription::retried(retry_policy policy) const {
  auto result = on_error(error_policy::retry);
  result.retry = policy;
  return result;
}

subscription subscription::within(std::chrono::milliseconds limit) const {
  auto result = *this;
  result.time_limit = limit;
  return result;
}

subscription subscription::keeping(delivery_policy policy, std::size_t max_waiting) const {
  auto result = *this;
  result.window = {policy, max_waiting};
  return result;
}

subscription subscription::with_subject(std::string subject) const {
  auto result = *this;
  result.subject = std::move(subject);
  return result;
}

subscription subscription::of_type(std::string type) const {
  return with_subject(std::move(type));
}

subscription subscription::deduplicated(bool on) const {
  auto result = *this;
  result.deduplicate = on;
  return result;
}

subscription subscription::with_stream_events(std::chrono::milliseconds max_age) const {
  auto result = *this;
  result.stream_events = true;
  result.stale_after = max_age;
  return result;
}

subscription subscription::with_delivery_info() const {
  auto result = *this;
  result.has_delivery_info = true;
  return result;
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

std::string to_string(const subscription& x) {
  return x.exchange + ':' + x.routing_key;
}

caf::error check(const subscription& x) {
  for (auto* part :
       {check_names, check_queue, check_retry, check_handler, check_effect, check_wire})
    if (auto err = part(x))
      return err;
  return caf::none;
}

} // namespace actors
