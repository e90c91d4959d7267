#include "delivery/event_handler.hpp"

#include <utility>

namespace actors {

namespace {

std::string subject_of(const event_codec& codec, const caf::message& what) noexcept try {
  return codec.subject(what);
} catch (...) { // it may be the user's
  return {};
}

/// What `delivery_policy::latest_per_key` keeps one of.
std::string conflation_key(const amqp::delivery& x, const event_codec& codec,
                           const caf::message& what) {
  auto result = x.routing_key;
  if (codec.subject) {
    result += '\n';
    result += subject_of(codec, what);
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
  return what.subject.empty() || subject_of(what.codec, x) == what.subject;
}

stream_tracker::verdict event_handler::arrived(const amqp::delivery& x, time_point now) {
  if (!what.stream_events && !(what.deduplicate && x.properties.position))
    return stream_tracker::verdict::fresh;
  auto arrival = streams.arrived(x.exchange, x.routing_key, x.properties.position, now);
  if (what.stream_events)
    for (auto& notice : arrival.before)
      append(arriving, std::move(notice));
  return what.deduplicate ? arrival.what : stream_tracker::verdict::fresh;
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

bool event_handler::offer(const amqp::delivery& x, const caf::message& message) {
  offered_event added{message, std::exchange(arriving, {}), {}};
  if (what.stream_events && x.properties.position) {
    const auto sequence = x.properties.position->sequence;
    added.self = stream_gap{x.exchange, x.routing_key, sequence, sequence};
  }
  std::string key;
  if (what.window.policy == delivery_policy::latest_per_key)
    key = conflation_key(x, what.codec, message);
  auto dropped = window.push(key, std::move(added));
  if (!dropped)
    return true;
  on_dropped(std::move(*dropped));
  return false;
}

// A strategy that follows its streams is told of what it did not get for being
// slow as well; not of what a newer event of the same key has replaced.
void event_handler::on_dropped(offered_event dropped) {
  const auto policy = what.window.policy;
  auto& notices = policy == delivery_policy::drop_newest ? arriving : overdue;
  for (auto& notice : dropped.before)
    append(notices, std::move(notice));
  if (dropped.self && policy != delivery_policy::latest_per_key)
    append(notices, std::move(*dropped.self));
}

void event_handler::hold(const amqp::delivery& x, const caf::message& message, delivery_key key,
                         open_delivery& open) {
  open.waiting.push_back(id());
  if (!open.from)
    open.from = origin_of(x);
  held.emplace(key, held_message{without_body(x), message});
}

handler_status event_handler::status(std::string queue) const {
  auto result = counters;
  result.exchange = what.exchange;
  result.routing_key = what.routing_key;
  result.queue = std::move(queue);
  result.strategy = what.strategy;
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
