#define CAF_SUITE amqp.session.time

#include "unit/amqp/rabbitmq/session_fixture.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace actors::amqp;
using namespace std::chrono_literals;

CAF_TEST_FIXTURE_SCOPE(time_tests, session_fixture)

CAF_TEST(a handshake that hangs) {
  CAF_CHECK(talk.deadline() == now + 10s);
  pass(9'999ms);
  feed(broker::start());
  CAF_CHECK(raised().empty());
  pass(1ms);
  CAF_CHECK(events->down_code == ec::handshake_timeout);
}

CAF_TEST(an idle link sends a heartbeat after half of its time) {
  log_in();
  CAF_CHECK(talk.deadline() == now + 5s);
  pass(4'999ms);
  CAF_CHECK(sent().empty());
  pass(1ms);
  CAF_CHECK(sent() == lines{"heartbeat"});
  CAF_CHECK(talk.deadline() == now + 5s);
}

CAF_TEST(a busy link needs no heartbeat) {
  log_in();
  for (auto i = 0; i < 10; ++i) {
    pass(3s);
    feed(broker::frame(AMQP_FRAME_HEARTBEAT, 0, ""));
    publish(1);
    for (auto& line : sent())
      CAF_CHECK(line != "heartbeat");
  }
}

CAF_TEST(silence of two heartbeats ends the link) {
  log_in();
  for (auto i = 0; i < 4; ++i) {
    pass(4'900ms);
    sent();
  }
  CAF_CHECK(raised().empty());
  pass(400ms);
  CAF_CHECK(events->down_code == ec::heartbeat_timeout);
}

CAF_TEST(any bytes of the broker are a sign of life) {
  log_in();
  for (auto i = 0; i < 10; ++i) {
    pass(19s);
    feed(broker::frame(AMQP_FRAME_HEARTBEAT, 0, ""));
    sent();
  }
  CAF_CHECK(raised().empty());
}

CAF_TEST(the shorter heartbeat counts) {
  feed(broker::start() + broker::tune(4) + broker::open_ok());
  sent();
  CAF_CHECK(talk.deadline() == now + 2s);
}

CAF_TEST(a broker without heartbeats gets ours) {
  feed(broker::start() + broker::tune(0) + broker::open_ok());
  sent();
  CAF_CHECK(talk.deadline() == now + 5s);
}

CAF_TEST(heartbeats can be switched off) {
  auto quiet = where();
  quiet.heartbeat = 0s;
  session other{quiet, true, events, now};
  other.feed(broker::handshake(), now);
  other.consume(other.output().size(), now);
  CAF_CHECK(other.deadline() == session::time_point::max());
}

CAF_TEST(a request that is not answered) {
  log_in();
  request(1, declare_exchange{{"Trade"}});
  sent();
  pass(6s);
  feed(broker::frame(AMQP_FRAME_HEARTBEAT, 0, ""));
  sent();
  pass(3'999ms);
  CAF_CHECK(raised().empty());
  pass(1ms);
  CAF_CHECK(raised()
            == lines({"suspected 1",
                      "down request_timeout: amqp://localhost:5672/: no answer in time to: declare "
                      "exchange 'Trade' (topic)"}));
}

// A queue that has no leader holds up the answers of all others on the channel.
CAF_TEST(all consumers that wait for an answer on a channel are suspected) {
  log_in();
  for (request_id id = 1; id <= 3; ++id)
    consume_from(id, id, "q" + std::to_string(id));
  sent();
  pass(6s);
  feed(broker::frame(AMQP_FRAME_HEARTBEAT, 0, ""));
  sent();
  pass(4s);
  const auto lines = raised();
  CAF_REQUIRE(!lines.empty());
  CAF_CHECK_EQUAL(lines[0], "suspected 1 2 3");
}

CAF_TEST(no request is suspected where a broker says nothing at all) {
  log_in();
  request(1, declare_exchange{{"Trade"}});
  sent();
  pass(10s);
  const auto lines = raised();
  CAF_REQUIRE_EQUAL(lines.size(), 1u);
  CAF_CHECK(lines[0].starts_with("down request_timeout"));
}

// A thousand requests in a row take their time; each has the whole limit.
CAF_TEST(the limit of a request begins with the answer to the one before) {
  log_in();
  for (request_id id = 1; id <= 3; ++id)
    request(id, declare_exchange{{"Trade"}});
  for (auto i = 0; i < 3; ++i) {
    pass(9s);
    feed(broker::exchange_declared());
    sent();
  }
  CAF_CHECK(raised() == lines({"replied 1", "replied 2", "replied 3"}));
}

CAF_TEST(a broker that takes no bytes) {
  log_in();
  publish(1);
  for (auto i = 0; i < 3; ++i) {
    pass(6s);
    feed(broker::frame(AMQP_FRAME_HEARTBEAT, 0, ""));
  }
  CAF_CHECK(raised().empty());
  // Any progress starts the limit anew.
  talk.consume(1, now);
  pass(19'999ms);
  CAF_CHECK(events->down_code == ec::none);
  feed(broker::frame(AMQP_FRAME_HEARTBEAT, 0, ""));
  pass(1ms);
  CAF_CHECK(events->down_code == ec::send_timeout);
}

// A broker under an alarm stops reading for as long as the alarm lasts.
CAF_TEST(a blocked link waits with its requests) {
  log_in();
  feed(broker::blocked("low on memory"));
  request(1, declare_exchange{{"Trade"}});
  for (auto i = 0; i < 10; ++i) {
    pass(15s);
    feed(broker::frame(AMQP_FRAME_HEARTBEAT, 0, ""));
  }
  CAF_CHECK(raised() == lines{"blocked low on memory"});
  feed(broker::unblocked());
  CAF_CHECK(talk.deadline() == now + 10s);
  pass(10s);
  CAF_CHECK(events->down_code == ec::request_timeout);
}

CAF_TEST(a broker that does not answer the close) {
  log_in();
  close();
  CAF_CHECK(talk.deadline() == now + 2s);
  pass(1'999ms);
  CAF_CHECK(raised().empty());
  pass(1ms);
  CAF_CHECK(raised() == lines{"down none"});
}

CAF_TEST_FIXTURE_SCOPE_END()
