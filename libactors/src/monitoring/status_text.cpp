#include <fmt/core.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "actors/json.hpp"
#include "actors/status.hpp"

// The status of an event center, for people and for programs.

namespace actors {

namespace {

namespace bj = boost::json;

std::string text_of(const link_status& x) {
  auto result = fmt::format("{} link: {}, {}", to_string(x.role), to_string(x.state), x.endpoint);
  if (!x.broker.empty())
    result += fmt::format(" ({})", x.broker);
  result += fmt::format(", connected {} times, lost {} times", x.connects, x.losses);
  if (!x.last_error.empty())
    result += ", the last time: " + x.last_error;
  return result + '\n';
}

std::string text_of(const outbox_status& x) {
  return fmt::format("outbox: {} waiting, {} blocked, {} unconfirmed, {} bytes; {} published, {} "
                     "confirmed, {} returned, {} rejected, {} dropped\n",
                     x.waiting, x.blocked, x.unconfirmed, x.bytes, x.published, x.confirmed,
                     x.returned, x.rejected, x.dropped);
}

std::string text_of(const handler_status& x) {
  return fmt::format("subscription {} of '{}' (actor {}): {}:{} on queue '{}', {}; {} delivered, "
                     "{} succeeded, {} failed ({} not in time), {} in flight, {} waiting, {} "
                     "dropped, {} copies, {} ranges forgotten\n",
                     x.id, x.strategy, x.subscriber, x.exchange, x.routing_key, x.queue,
                     x.consuming ? "consuming" : "not consuming", x.delivered, x.succeeded,
                     x.failed, x.timed_out, x.in_flight, x.waiting, x.dropped.total(), x.duplicates,
                     x.forgotten);
}

std::string text_of(const dispatcher_status& x) {
  return fmt::format("deliveries: {} received, {} malformed, {} unreadable, {} unmatched, {} "
                     "requeued, {} retried, {} dead letters\n",
                     x.received, x.malformed, x.unreadable, x.unmatched, x.requeued, x.retried,
                     x.dead_lettered);
}

bj::object object_of(const link_status& x) {
  return {{"role", to_string(x.role)},
          {"state", to_string(x.state)},
          {"endpoint", x.endpoint},
          {"broker", x.broker},
          {"connects", x.connects},
          {"losses", x.losses},
          {"last_code", to_string(x.last_code)},
          {"last_error", x.last_error}};
}

bj::object object_of(const outbox_status& x) {
  return {{"waiting", x.waiting},   {"blocked", x.blocked},     {"unconfirmed", x.unconfirmed},
          {"bytes", x.bytes},       {"published", x.published}, {"confirmed", x.confirmed},
          {"returned", x.returned}, {"rejected", x.rejected},   {"dropped", x.dropped}};
}

bj::object object_of(const delivery_drops& x) {
  return {{"oldest", x.oldest}, {"newest", x.newest}, {"replaced", x.replaced}};
}

bj::object object_of(const handler_status& x) {
  return {{"id", x.id},
          {"exchange", x.exchange},
          {"routing_key", x.routing_key},
          {"queue", x.queue},
          {"consuming", x.consuming},
          {"subscriber", x.subscriber},
          {"strategy", x.strategy},
          {"delivered", x.delivered},
          {"succeeded", x.succeeded},
          {"failed", x.failed},
          {"in_flight", x.in_flight},
          {"waiting", x.waiting},
          {"dropped", object_of(x.dropped)},
          {"timed_out", x.timed_out},
          {"duplicates", x.duplicates},
          {"forgotten", x.forgotten}};
}

bj::object object_of(const dispatcher_status& x) {
  return {{"received", x.received},          {"malformed", x.malformed},
          {"unreadable", x.unreadable},      {"unmatched", x.unmatched},
          {"requeued", x.requeued},          {"retried", x.retried},
          {"dead_lettered", x.dead_lettered}};
}

template <class T>
bj::array array_of(const std::vector<T>& xs) {
  bj::array result;
  for (auto& x : xs)
    result.push_back(object_of(x));
  return result;
}

} // namespace

std::string to_string(const center_status& x) {
  std::string result;
  for (auto& link : x.supervisor.links)
    result += text_of(link);
  result += text_of(x.supervisor.outbox);
  result += text_of(x.dispatcher);
  for (auto& handler : x.dispatcher.handlers)
    result += text_of(handler);
  for (auto& refused : x.supervisor.refused)
    result += "refused: " + refused + '\n';
  return result;
}

json to_json(const center_status& x) {
  bj::array refused;
  for (auto& each : x.supervisor.refused)
    refused.push_back(bj::value(each));
  return json{bj::object{{"links", array_of(x.supervisor.links)},
                         {"outbox", object_of(x.supervisor.outbox)},
                         {"refused", std::move(refused)},
                         {"deliveries", object_of(x.dispatcher)},
                         {"handlers", array_of(x.dispatcher.handlers)}}};
}

} // namespace actors
