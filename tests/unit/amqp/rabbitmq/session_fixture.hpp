#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "amqp/rabbitmq/session.hpp"
#include "unit/amqp/rabbitmq/broker_script.hpp"
#include "unit/amqp/rabbitmq/recorded_events.hpp"

namespace actors::amqp {

using lines = std::vector<std::string>;

/// A session, the broker's bytes and a clock that only the test moves.
struct session_fixture {
  using broker = broker_script;

  explicit session_fixture(bool confirms = true, const endpoint& to = where())
      : talk(to, confirms, events, now) {
    // nop
  }

  static endpoint where() {
    endpoint result;
    result.password = secret{"s3cret"};
    return result;
  }

  void feed(std::string_view bytes) {
    talk.feed(bytes, now);
  }

  void log_in() {
    feed(broker::handshake());
    sent();
    events->take();
  }

  /// The frames that were sent since the last call.
  lines sent() {
    auto result = frames_of(talk.output());
    if (!talk.output().empty())
      talk.consume(talk.output().size(), now);
    return result;
  }

  lines raised() {
    return events->take();
  }

  void pass(std::chrono::milliseconds time) {
    now += time;
    talk.tick(now);
  }

  void request(request_id id, operation what) {
    talk.execute(request_command{id, std::move(what)}, now);
  }

  void consume_from(request_id id, consumer_id consumer, std::string queue) {
    amqp::consumer what;
    what.id = consumer;
    what.queue = std::move(queue);
    request(id, start_consumer{what});
  }

  void publish(std::uint64_t id, std::string body = "{}", std::uint32_t generation = 1) {
    publication x;
    x.id = id;
    x.exchange = "Trade";
    x.routing_key = "binance.ETH/USDT";
    x.body = std::make_shared<const std::string>(std::move(body));
    talk.execute(publish_command{generation, {std::move(x)}}, now);
  }

  void close() {
    talk.execute(close_command{}, now);
  }

  session::time_point now{std::chrono::hours{1}};
  std::shared_ptr<recorded_events> events = std::make_shared<recorded_events>();
  session talk;
};

struct unconfirmed_fixture : session_fixture {
  unconfirmed_fixture() : session_fixture(false) {
    // nop
  }
};

} // namespace actors::amqp
