#include "delivery/event_handler.hpp"

#include <utility>

#include <caf/make_message.hpp>
#include <fmt/core.h>

#include "actors/delivery_info.hpp"
#include "delivery/retry.hpp"

namespace actors {

namespace {

std::string subject_of(const event_codec& codec, const caf::message& event) noexcept try {
  return codec.subject(event);
} catch (...) { // the codec may be a user's
  return {};
}

/// Returns the key of which `delivery_policy::latest_per_key` keeps one event.
std::string conflation_key(const amqp::delivery& delivery, const event_codec& codec,
                           const caf::message& event) {
  auto result = delivery.routing_key;
  if (codec.subject) {
    result += '\n';
    result += subject_of(codec, event);
  }
  return result;
}

amqp::delivery without_body(const amqp::delivery& delivery) {
  amqp::delivery result;
  result.exchange = delivery.exchange;
  result.routing_key = delivery.routing_key;
  result.properties.position = delivery.properties.position;
  return result;
}

} // namespace

std::string name_of_strategy(const event_handler& x) {
  return x.spec.strategy.empty()
             ? fmt::format("actor {}", x.counters.subscriber)
             : fmt::format("'{}' (actor {})", x.spec.strategy, x.counters.subscriber);
}

std::string missing_handler_text(const subscription& x) {
  const auto argument = x.codec.name.empty() ? std::string{"an actors::event"}
                                             : fmt::format("the struct of '{}'", x.codec.name);
  auto result = x.has_delivery_info ? fmt::format("with_delivery_info takes a handler of {} and an "
                                                  "actors::delivery_info",
                                                  argument)
                                    : fmt::format("add a handler of {} alone", argument);
  if (x.stream_events)
    result += ", and with_stream_events takes one of each type in actors/stream_events.hpp";
  return result;
}

bool event_handler::wants(const caf::message& x) const {
  return spec.subject.empty() || subject_of(spec.codec, x) == spec.subject;
}

stream_tracker::verdict event_handler::arrived(const amqp::delivery& delivery, time_point now) {
  if (!spec.stream_events && !(spec.deduplicate && delivery.properties.position))
    return stream_tracker::verdict::fresh;
  auto arrival =
      streams.arrived(delivery.exchange, delivery.routing_key, delivery.properties.position, now);
  if (spec.stream_events)
    for (auto& notice : arrival.before)
      append(arriving, std::move(notice));
  return spec.deduplicate ? arrival.outcome : stream_tracker::verdict::fresh;
}

void event_handler::passed_over(const amqp::delivery& delivery, time_point now) {
  if (arrived(delivery, now) == stream_tracker::verdict::fresh)
    streams.handled(delivery.exchange, delivery.routing_key, delivery.properties.position);
}

void event_handler::skipped(const amqp::delivery& delivery, time_point now) {
  ++counters.failed;
  if (arrived(delivery, now) == stream_tracker::verdict::fresh)
    streams.failed(delivery.exchange, delivery.routing_key, delivery.properties.position);
}

caf::message event_handler::message_for(const amqp::delivery& delivery, const caf::message& event,
                                        std::chrono::system_clock::time_point received) const {
  if (!spec.has_delivery_info)
    return event;
  delivery_info about;
  about.subscription = counters.id;
  about.exchange = delivery.exchange;
  about.routing_key = delivery.routing_key;
  about.message_id = delivery.properties.message_id;
  about.redelivered = delivery.redelivered;
  about.attempt = 1 + attempts_of(delivery.properties) + returns_of(delivery.properties);
  about.stream_offset = stream_offset(delivery.properties);
  if (delivery.properties.timestamp != 0)
    about.sent =
        std::chrono::system_clock::time_point{std::chrono::seconds{delivery.properties.timestamp}};
  about.received = received;
  return event + caf::make_message(std::move(about));
}

bool event_handler::offer(const amqp::delivery& delivery, const caf::message& event,
                          std::chrono::system_clock::time_point received) {
  offered_event added{message_for(delivery, event, received), std::exchange(arriving, {}), {}};
  if (spec.stream_events && delivery.properties.position) {
    const auto sequence = delivery.properties.position->sequence;
    added.self = stream_gap{delivery.exchange, delivery.routing_key, sequence, sequence};
  }
  std::string key;
  if (spec.window.policy == delivery_policy::latest_per_key)
    key = conflation_key(delivery, spec.codec, event);
  auto dropped = window.push(key, std::move(added));
  if (!dropped)
    return true;
  on_dropped(std::move(*dropped));
  return false;
}

// A strategy with stream events is told of events that it missed by being slow as well, but not of
// those that a newer event of the same key has replaced.
void event_handler::on_dropped(offered_event dropped) {
  const auto policy = spec.window.policy;
  auto& notices = policy == delivery_policy::drop_newest ? arriving : overdue;
  for (auto& notice : dropped.before)
    append(notices, std::move(notice));
  if (dropped.self && policy != delivery_policy::latest_per_key)
    append(notices, std::move(*dropped.self));
}

void event_handler::hold(const amqp::delivery& delivery, const caf::message& event,
                         std::chrono::system_clock::time_point received, delivery_key key,
                         open_delivery& open) {
  open.waiting.push_back(id());
  if (!open.from)
    open.from = origin_of(delivery);
  held.emplace(key, held_message{without_body(delivery), message_for(delivery, event, received)});
}

handler_status event_handler::status(std::string queue) const {
  auto result = counters;
  result.exchange = spec.exchange;
  result.routing_key = spec.routing_key;
  result.queue = std::move(queue);
  result.strategy = spec.strategy;
  result.waiting = window.waiting();
  result.dropped = window.drops();
  result.forgotten = streams.forgotten();
  return result;
}

std::shared_ptr<const message_origin> origin_of(const amqp::delivery& delivery) {
  if (!delivery.properties.position)
    return nullptr;
  return std::make_shared<const message_origin>(
      message_origin{delivery.exchange, delivery.routing_key, delivery.properties.position});
}

} // namespace actors
