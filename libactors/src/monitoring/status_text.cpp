#include <fmt/core.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "actors/json.hpp"
#include "actors/status.hpp"

// The status of an event center as text for people, and as JSON for programs.

namespace actors {

namespace {

namespace bj = boost::json;

std::string text_of(const link_status& link) {
  auto result =
      fmt::format("{} link: {}, {}", to_string(link.role), to_string(link.state), link.endpoint);
  if (!link.broker.empty())
    result += fmt::format(" ({})", link.broker);
  result += fmt::format(", connected {} times, lost {} times", link.connects, link.losses);
  if (!link.last_error.empty())
    result += ", the last time: " + link.last_error;
  return result + '\n';
}

std::string text_of(const outbox_status& outbox) {
  return fmt::format("outbox: {} waiting, {} blocked, {} unconfirmed, {} bytes; {} published, {} "
                     "confirmed, {} returned, {} rejected, {} dropped\n",
                     outbox.waiting, outbox.blocked, outbox.unconfirmed, outbox.bytes,
                     outbox.published, outbox.confirmed, outbox.returned, outbox.rejected,
                     outbox.dropped);
}

std::string text_of(const handler_status& handler) {
  return fmt::format(
      "subscription {} of '{}' (actor {}): {}:{} on queue '{}', {}; {} delivered, "
      "{} succeeded, {} failed ({} not in time), {} in flight, {} waiting, {} "
      "dropped, {} copies, {} ranges forgotten\n",
      handler.id, handler.strategy, handler.subscriber, handler.exchange, handler.routing_key,
      handler.queue, handler.consuming ? "consuming" : "not consuming", handler.delivered,
      handler.succeeded, handler.failed, handler.timed_out, handler.in_flight, handler.waiting,
      handler.dropped.total(), handler.duplicates, handler.forgotten);
}

std::string text_of(const dispatcher_status& dispatcher) {
  return fmt::format("deliveries: {} received, {} malformed, {} unreadable, {} unmatched, {} "
                     "requeued, {} retried, {} dead letters\n",
                     dispatcher.received, dispatcher.malformed, dispatcher.unreadable,
                     dispatcher.unmatched, dispatcher.requeued, dispatcher.retried,
                     dispatcher.dead_lettered);
}

bj::object object_of(const link_status& link) {
  return {{"role", to_string(link.role)},
          {"state", to_string(link.state)},
          {"endpoint", link.endpoint},
          {"broker", link.broker},
          {"connects", link.connects},
          {"losses", link.losses},
          {"last_code", to_string(link.last_code)},
          {"last_error", link.last_error}};
}

bj::object object_of(const outbox_status& outbox) {
  return {{"waiting", outbox.waiting},         {"blocked", outbox.blocked},
          {"unconfirmed", outbox.unconfirmed}, {"bytes", outbox.bytes},
          {"published", outbox.published},     {"confirmed", outbox.confirmed},
          {"returned", outbox.returned},       {"rejected", outbox.rejected},
          {"dropped", outbox.dropped}};
}

bj::object object_of(const delivery_drops& x) {
  return {{"oldest", x.oldest}, {"newest", x.newest}, {"replaced", x.replaced}};
}

bj::object object_of(const handler_status& handler) {
  return {{"id", handler.id},
          {"exchange", handler.exchange},
          {"routing_key", handler.routing_key},
          {"queue", handler.queue},
          {"consuming", handler.consuming},
          {"subscriber", handler.subscriber},
          {"strategy", handler.strategy},
          {"delivered", handler.delivered},
          {"succeeded", handler.succeeded},
          {"failed", handler.failed},
          {"in_flight", handler.in_flight},
          {"waiting", handler.waiting},
          {"dropped", object_of(handler.dropped)},
          {"timed_out", handler.timed_out},
          {"duplicates", handler.duplicates},
          {"forgotten", handler.forgotten}};
}

bj::object object_of(const dispatcher_status& dispatcher) {
  return {{"received", dispatcher.received},          {"malformed", dispatcher.malformed},
          {"unreadable", dispatcher.unreadable},      {"unmatched", dispatcher.unmatched},
          {"requeued", dispatcher.requeued},          {"retried", dispatcher.retried},
          {"dead_lettered", dispatcher.dead_lettered}};
}

template <class T>
bj::array array_of(const std::vector<T>& items) {
  bj::array result;
  for (auto& x : items)
    result.push_back(object_of(x));
  return result;
}

} // namespace

std::string to_string(const center_status& center) {
  std::string result;
  for (auto& link : center.supervisor.links)
    result += text_of(link);
  result += text_of(center.supervisor.outbox);
  result += text_of(center.dispatcher);
  for (auto& handler : center.dispatcher.handlers)
    result += text_of(handler);
  for (auto& refused : center.supervisor.refused)
    result += "refused: " + refused + '\n';
  return result;
}

json to_json(const center_status& center) {
  bj::array refused;
  for (auto& each : center.supervisor.refused)
    refused.push_back(bj::value(each));
  return json{bj::object{{"links", array_of(center.supervisor.links)},
                         {"outbox", object_of(center.supervisor.outbox)},
                         {"refused", std::move(refused)},
                         {"deliveries", object_of(center.dispatcher)},
                         {"handlers", array_of(center.dispatcher.handlers)}}};
}

} // namespace actors
