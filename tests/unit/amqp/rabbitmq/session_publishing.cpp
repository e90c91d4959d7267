#define CAF_SUITE amqp.session.publishing

#include "unit/amqp/rabbitmq/session_fixture.hpp"

#include <algorithm>

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace actors::amqp;

CAF_TEST_FIXTURE_SCOPE(publishing_tests, session_fixture)

CAF_TEST(confirms are asked for before the first message) {
  log_in();
  publish(1);
  publish(2);
  CAF_CHECK(sent()
            == lines({"3:20.10", "3:85.10", "3:60.40", "3:header", "3:body", "3:60.40", "3:header",
                      "3:body"}));
}

CAF_TEST(answers come one by one or for many) {
  log_in();
  for (std::uint64_t id = 11; id <= 16; ++id)
    publish(id);
  feed(broker::ack(2, false) + broker::ack(1, false));
  CAF_CHECK(raised() == lines{"confirmed +12 +11"});
  feed(broker::ack(4, false) + broker::nack(5, true));
  CAF_CHECK(raised() == lines{"confirmed +14 -13 -15"});
  feed(broker::ack(0, true));
  CAF_CHECK(raised() == lines{"confirmed +16"});
}

CAF_TEST(an answer to nothing ends the link) {
  log_in();
  publish(1);
  feed(broker::ack(2, false));
  CAF_CHECK(events->down_code == ec::protocol_error);
}

CAF_TEST(a message that no queue takes comes back before its confirmation) {
  log_in();
  publish(1);
  publish(2);
  feed(broker::ack(1, false) + broker::unroutable("m2") + broker::ack(2, false));
  CAF_CHECK(raised()
            == lines({"confirmed +1",
                      "returned m2 no_route: publish to exchange 'Trade' with routing key "
                      "'nobody': NO_ROUTE (312)",
                      "confirmed +2"}));
}

CAF_TEST(publishing goes on after its channel was closed) {
  log_in();
  publish(1);
  publish(2);
  sent();
  feed(broker::close_channel(3, 404, "NOT_FOUND - no exchange 'Trade'", AMQP_BASIC_PUBLISH_METHOD));
  CAF_CHECK(raised()
            == lines{"closed publishing not_found: NOT_FOUND - no exchange 'Trade' (404)"});
  publish(3, "{}", 2);
  CAF_CHECK(sent() == lines({"3:20.41", "3:20.10", "3:85.10", "3:60.40", "3:header", "3:body"}));
  // What it confirms before that is of the former channel.
  feed(broker::ack(1, false));
  CAF_CHECK(raised().empty());
  // The broker counts anew on the new channel.
  feed(broker::channel_opened(3) + broker::ack(1, false));
  CAF_CHECK(raised() == lines{"confirmed +3"});
}

CAF_TEST(a message for a former life of the channel is not sent) {
  log_in();
  publish(1, "{}", 2);
  CAF_CHECK(sent().empty());
  publish(1);
  feed(broker::close_channel(3, 404, "NOT_FOUND - no exchange 'Trade'", AMQP_BASIC_PUBLISH_METHOD));
  sent();
  raised();
  publish(2);
  CAF_CHECK(sent().empty());
  publish(1, "{}", 2);
  publish(2, "{}", 2);
  feed(broker::channel_opened(3) + broker::ack(2, true));
  CAF_CHECK(raised() == lines{"confirmed +1 +2"});
}

CAF_TEST(a large body is split into frames) {
  log_in();
  publish(1, std::string(300'000, 'x'));
  CAF_CHECK(sent()
            == lines({"3:20.10", "3:85.10", "3:60.40", "3:header", "3:body", "3:body", "3:body"}));
}

CAF_TEST(frames are as small as the broker asks) {
  feed(broker::start() + broker::tune(60, 4096) + broker::open_ok());
  sent();
  publish(1, std::string(4089, 'x'));
  CAF_CHECK(sent() == lines({"3:20.10", "3:85.10", "3:60.40", "3:header", "3:body", "3:body"}));
}

CAF_TEST(an empty body has no frame) {
  log_in();
  publish(1, "");
  CAF_CHECK(sent() == lines({"3:20.10", "3:85.10", "3:60.40", "3:header"}));
}

CAF_TEST(a message that AMQP cannot carry is refused with a reason and the others are sent) {
  log_in();
  publication x;
  x.id = 1;
  x.routing_key = std::string(256, 'x');
  publication y;
  y.id = 2;
  y.properties.headers = {{"k", std::string(200'000, 'x')}};
  talk.execute(publish_command{1, {x, y}}, now);
  publish(3);
  CAF_CHECK(raised()
            == lines({"refused 1 invalid_argument: publish to exchange '' with routing key '"
                          + std::string(60, 'x')
                          + "...': the routing key has 256 bytes, and AMQP carries 255: choose a "
                            "shorter one",
                      "refused 2 limit_exceeded: publish to exchange '' with routing key '': its "
                      "headers do not fit the broker's frame of 131072 bytes: send fewer or "
                      "shorter ones"}));
  feed(broker::ack(1, false));
  CAF_CHECK(raised() == lines{"confirmed +3"});
  auto frames = sent();
  CAF_CHECK_EQUAL(std::count(frames.begin(), frames.end(), "3:60.40"), 1);
}

// What one session writes another one reads back.
CAF_TEST(what was checked before is not checked again and all else is) {
  log_in();
  publication x;
  x.id = 1;
  x.properties.expiration = std::chrono::hours{24 * 365 * 11};
  auto y = x;
  y.id = 2;
  y.checked = true;
  talk.execute(publish_command{1, {x, y}}, now);
  CAF_CHECK_EQUAL(raised().size(), 1u);
  feed(broker::ack(1, false));
  CAF_CHECK(raised() == lines{"confirmed +2"});
}

CAF_TEST(properties survive the wire) {
  log_in();
  publication x;
  x.id = 1;
  x.properties.message_id = "m-1";
  x.properties.timestamp = 1'558'949'307;
  x.properties.persistent = true;
  x.properties.position = stream_position{1'558'949'307'370'000, 42};
  x.properties.headers = {{"flag", true},
                          {"count", std::int64_t{-3}},
                          {"ratio", 0.1},
                          {"text", std::string{"caf\xC3\xA9"}},
                          {"when", opaque_value{'T', std::string(8, '\1')}},
                          {"list", opaque_value{'A', std::string{"\0\0\0\2t\1", 6}}}};
  x.properties.expiration = std::chrono::milliseconds{1'500};
  x.properties.others = std::make_shared<const other_properties>(
      other_properties{"application/json", "deflate", "c-1", "replies", "order", "app", 5});
  talk.execute(publish_command{1, {x}}, now);
  auto bytes = talk.output();
  frame next;
  while (read_frame(bytes, 131'072, next) == frame_status::complete)
    if (next.type == AMQP_FRAME_HEADER)
      break;
  auto read = read_properties(next.payload);
  CAF_REQUIRE(read);
  CAF_CHECK(*read == x.properties);
}

CAF_TEST(a message beyond the limit of the broker is refused with the numbers) {
  auto small = where();
  small.known.message_size = 2'000;
  session_fixture x{true, small};
  x.log_in();
  x.publish(1, std::string(2'001, 'x'));
  x.publish(2, std::string(2'000, 'x'));
  CAF_CHECK(x.raised()
            == lines{"refused 1 limit_exceeded: publish to exchange 'Trade' with routing key "
                     "'binance.ETH/USDT': the message has 2001 bytes, and the broker takes 2000: "
                     "send smaller ones or raise max_message_size there"});
  CAF_CHECK(x.sent() == lines({"3:20.10", "3:85.10", "3:60.40", "3:header", "3:body"}));
}

CAF_TEST(a limit for messages is learned from the channel that it closes) {
  log_in();
  publish(1, std::string(3'000, 'x'));
  const auto close = broker::close_channel(
      3, 406, "PRECONDITION_FAILED - message size 3000 is larger than configured max size 2000");
  feed(close);
  CAF_CHECK(raised()
            == lines({"learned channels=0 consumers=0 size=2000",
                      "closed publishing precondition_failed: PRECONDITION_FAILED - message size "
                      "3000 is larger than configured max size 2000 (406)"}));
  feed(broker::channel_opened(3));
  talk.execute(publish_command{2, {}}, now);
  publish(2, std::string(3'000, 'x'), 2);
  CAF_CHECK(raised().front().starts_with("refused 2 limit_exceeded"));
}

CAF_TEST(a blocked connection is announced) {
  log_in();
  feed(broker::blocked("low on memory") + broker::unblocked());
  CAF_CHECK(raised() == lines({"blocked low on memory", "unblocked"}));
}

CAF_TEST_FIXTURE_SCOPE_END()

CAF_TEST_FIXTURE_SCOPE(unconfirmed_tests, unconfirmed_fixture)

CAF_TEST(without confirms a message counts once its bytes are sent) {
  log_in();
  publish(1);
  auto first = talk.output().size();
  publish(2);
  CAF_CHECK(raised().empty());
  talk.consume(first - 1, now);
  CAF_CHECK(raised().empty());
  talk.consume(1, now);
  CAF_CHECK(raised() == lines{"confirmed +1"});
  CAF_CHECK(sent().size() == 3);
  CAF_CHECK(raised() == lines{"confirmed +2"});
}

// The answer to the broker's close is sent after the end, with all that waits.
CAF_TEST(no confirmation comes after the end) {
  log_in();
  publish(1);
  feed(broker::close_connection(320, "x"));
  CAF_CHECK_EQUAL(raised().size(), 1u);
  CAF_CHECK(sent().back() == "0:10.51");
  CAF_CHECK(raised().empty());
}

CAF_TEST_FIXTURE_SCOPE_END()
