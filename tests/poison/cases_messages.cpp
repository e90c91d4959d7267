#include "poison/cases.hpp"

#include "wire/payload.hpp"

// What others publish, and we receive.

namespace actors::poison {

using namespace std::chrono_literals;

namespace {

using bodies = std::vector<std::string>;

std::string sealed(const std::string& data, const std::string& name = "EVENT_POISON") {
  return payload_encoder{}.encode(name, data);
}

void send(attempt& x, const std::string& exchange, const std::string& body,
          const amqp::properties& with = {}) {
  amqp::publication sent;
  sent.exchange = exchange;
  sent.routing_key = "a.b";
  sent.body = std::make_shared<const std::string>(body);
  sent.properties = with;
  x.other().publish(std::move(sent));
}

/// A strategy of each way to deal with failures, and all these messages for each.
void deliver(attempt& x, const bodies& what, const amqp::properties& with = {}) {
  const auto exchange = x.tag() + "-e";
  auto on = [&](const std::string& queue) {
    return subscription::to_events(exchange, "#").on_quorum_queue(x.name(queue));
  };
  x.subscribe(on("requeue").acked(ack_policy::on_success));
  x.subscribe(on("dead").dead_lettered());
  x.subscribe(on("retried").retried({.delay = 100ms, .max_retries = 1}));
  x.subscribe(subscription::to_events(exchange, "#").multi());
  x.answers_within(10s);
  for (auto& body : what)
    send(x, exchange, body, with);
}

/// To one strategy alone: several copies may be more than a small broker's memory, which then
/// blocks all who publish.
void deliver_to_one(attempt& x, const std::string& body) {
  const auto exchange = x.tag() + "-e";
  x.subscribe(
      subscription::to_events(exchange, "#").on_quorum_queue(x.name("dead")).dead_lettered());
  x.answers_within(10s);
  send(x, exchange, body);
}

bad_case message(const std::string& name, bodies what, amqp::properties with = {}) {
  return {name,
          [what = std::move(what), with = std::move(with)](attempt& x) { deliver(x, what, with); }};
}

amqp::properties numbered(std::uint64_t epoch, std::initializer_list<std::uint64_t> sequences) {
  amqp::properties result;
  for (auto x : sequences)
    result.position = amqp::stream_position{epoch, x};
  return result;
}

amqp::properties headers(std::size_t count, std::size_t size) {
  amqp::properties result;
  for (std::size_t i = 0; i < count; ++i)
    result.headers.emplace_back("h" + std::to_string(i), std::string(size, 'x'));
  return result;
}

amqp::properties with_id(std::string id) {
  amqp::properties result;
  result.message_id = std::move(id);
  return result;
}

std::string many(std::size_t count) {
  std::string result;
  result.resize(count, 'x');
  return result;
}

std::string nested(std::size_t depth) {
  return std::string(depth, '[') + std::string(depth, ']');
}

void add_bodies(std::vector<bad_case>& to) {
  auto good = sealed("{}");
  to.push_back(message("an empty body", {""}));
  to.push_back(message("a body that is no zlib stream", {"hello", std::string(100'000, '\xff')}));
  to.push_back(message("a body that is cut off", {good.substr(0, good.size() / 2)}));
  to.push_back(message("a body with more behind it", {good + "more"}));
  to.push_back(message("a body that grows to 100 MB", {sealed('"' + many(100'000'000) + '"')}));
  to.push_back(message("data nested 100,000 deep", {sealed(nested(100'000))}));
  to.push_back(message("data nested 33 deep", {sealed(nested(33))}));
  to.push_back(message("data that is no JSON", {sealed("{,}"), sealed(""), sealed("nope")}));
  to.push_back(message("data that is null", {sealed("null")}));
  to.push_back(message("data as Python writes it",
                       {sealed(R"({"a": NaN, "b": Infinity, "c": -Infinity, "d": "\ud800"})")}));
  to.push_back(message("data that is no UTF-8", {sealed("\"caf\xe9\"")}));
  to.push_back(message("a number of 10,000 digits", {sealed(std::string(10'000, '9'))}));
  to.push_back(message("a name of 100,000 characters", {sealed("{}", std::string(100'000, 'n'))}));
  to.push_back(message("1,000 bodies that are none", bodies(1'000, "poison")));
}

void add_properties(std::vector<bad_case>& to) {
  const bodies good{sealed("{}")};
  const auto most = ~std::uint64_t{0};
  to.push_back(message("a place of its own at the end of numbers", good, numbered(1, {most})));
  to.push_back(message("a place of 0", good, numbered(0, {0})));
  to.push_back(message("copies", bodies(50, good[0]), numbered(7, {1})));
  to.push_back(message("a message id of 255 bytes", good, with_id(std::string(255, 'i'))));
  to.push_back(message("10,000 headers", good, headers(10'000, 1)));
  // With what the broker adds when a message comes back they fit no frame.
  to.push_back(
      message("headers that nearly fill a frame", bodies(3, "poison"), headers(1, 130'500)));
  to.push_back(message("headers that nearly fill a frame, taken", good, headers(1, 130'500)));
  auto expired = with_id("soon");
  expired.expiration = 1ms;
  to.push_back(message("messages that expire at once", bodies(20, good[0]), expired));
}

void add_sizes(std::vector<bad_case>& to) {
  to.push_back(message("a body of 20 MB", {many(20'000'000)}));
  to.push_back({"a body of 40 MB", [](attempt& x) { deliver_to_one(x, many(40'000'000)); },
                answer::any, need::rabbitmq});
}

} // namespace

std::vector<bad_case> bad_messages() {
  std::vector<bad_case> result;
  add_bodies(result);
  add_properties(result);
  add_sizes(result);
  return result;
}

} // namespace actors::poison
