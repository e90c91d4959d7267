#include "delivery/event_handler.hpp"

#include <utility>

#include <caf/make_message.hpp>

#include "actors/delivery_info.hpp"
#include "delivery/retry.hpp"

namespace actors {

namespace {

std::string subject_of(const event_codec& codec, const caf::message& event) noexcept try {
  return codec.subject(event);
} catch (...) { // it may be the user's
  return {};
}

/// What `delivery_policy::latest_per_key` keeps one of.
std::string conflation_key(const amqp::delivery& x, const event_codec& codec,
                           const caf::message& event) {
  auto result = x.routing_key;
  if (codec.subject) {
    result += '\n';
    result += subject_of(codec, event);
  }
  return result;
}

amqp::delivery without_body(const amqp::delivery& x) {
  amqp::delivery result;
  result.exchange = x.exchange;
  result.routing_key = x.routing_key;
  result.properties.position = x.properties.position;
  return result;
}

} // namespace

bool event_handler::wants(const caf::message& x) const {
  return spec.subject.empty() || subject_of(spec.codec, x) == spec.subject;
}

stream_tracker::verdict event_handler::arrived(const amqp::delivery& x, time_point now) {
  if (!spec.stream_events && !(spec.deduplicate && x.properties.position))
    return stream_tracker::verdict::fresh;
  auto arrival = streams.arrived(x.exchange, x.routing_key, x.properties.position, now);
  if (spec.stream_events)
    for (auto& notice : arrival.before)
      append(arriving, std::move(notice));
  return spec.deduplicate ? arrival.outcome : stream_tracker::verdict::fresh;
}

void event_handler::passed_over(const amqp::delivery& x, time_point now) {
  if (arrived(x, now) == stream_tracker::verdict::fresh)
    streams.handled(x.exchange, x.routing_key, x.properties.position);
}

void event_handler::skipped(const amqp::delivery& x, time_point now) {
  ++counters.failed;
  if (arrived(x, now) == stream_tracker::verdict::fresh)
    streams.failed(x.exchange, x.routing_key, x.properties.position);
}

caf::message event_handler::message_for(const amqp::delivery& x, const caf::message& event,
                                        std::chrono::system_clock::time_point received) const {
  if (!spec.has_delivery_info)
    return event;
  delivery_info about;
  about.subscription = counters.id;
  about.exchange = x.exchange;
  about.routing_key = x.routing_key;
  about.message_id = x.properties.message_id;
  about.redelivered = x.redelivered;
  about.attempt = 1 + attempts_of(x.properties) + returns_of(x.properties);
  about.stream_offset = stream_offset(x.properties);
  if (x.properties.timestamp != 0)
    about.sent =
        std::chrono::system_clock::time_point{std::chrono::seconds{x.properties.timestamp}};
  about.received = received;
  return event + caf::make_message(std::move(about));
}

bool event_handler::offer(const amqp::delivery& x, const caf::message& event,
                          std::chrono::system_clock::time_point received) {
  offered_event added{message_for(x, event, received), std::exchange(arriving, {}), {}};
  if (spec.stream_events && x.properties.position) {
    const auto sequence = x.properties.position->sequence;
    added.self = stream_gap{x.exchange, x.routing_key, sequence, sequence};
  }
  std::string key;
  if (spec.window.policy == delivery_policy::latest_per_key)
    key = conflation_key(x, spec.codec, event);
  auto dropped = window.push(key, std::move(added));
  if (!dropped)
    return true;
  on_dropped(std::move(*dropped));
  return false;
}

// A strategy that follows its streams is told of what it did not get for being
// slow as well; not of what a newer event of the same key has replaced.
void event_handler::on_dropped(offered_event dropped) {
  const auto policy = spec.window.policy;
  auto& notices = policy == delivery_policy::drop_newest ? arriving : overdue;
  for (auto& notice : dropped.before)
    append(notices, std::move(notice));
  if (dropped.self && policy != delivery_policy::latest_per_key)
    append(notices, std::move(*dropped.self));
}

void event_handler::hold(const amqp::delivery& x, const caf::message& event,
                         std::chrono::system_clock::time_point received, delivery_key key,
                         open_delivery& open) {
  open.waiting.push_back(id());
  if (!open.from)
    open.from = origin_of(x);
  held.emplace(key, held_message{without_body(x), message_for(x, event, received)});
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

std::shared_ptr<const message_origin> origin_of(const amqp::delivery& x) {
  if (!x.properties.position)
    return nullptr;
  return std::make_shared<const message_origin>(
      message_origin{x.exchange, x.routing_key, x.properties.position});
}

} // namespace actors
