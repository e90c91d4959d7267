#define CAF_SUITE amqp.session.requests

#include <algorithm>

#include "unit/amqp/session_fixture.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace actors::amqp;

CAF_TEST_FIXTURE_SCOPE(request_tests, session_fixture)

CAF_TEST(requests are sent at once and answered in order) {
  log_in();
  request(1, declare_exchange{{"Trade"}});
  request(2, declare_queue{});
  CAF_CHECK(sent() == lines({"1:20.10", "1:40.10", "1:50.10"}));
  feed(broker::exchange_declared() + broker::queue_declared("amq.gen-1"));
  CAF_CHECK(raised() == lines({"replied 1", "replied 2 amq.gen-1"}));
}

// The broker forgets what was sent after the culprit, so it is sent again.
CAF_TEST(a refused request leaves the others in place) {
  log_in();
  request(1, declare_exchange{{"Trade"}});
  request(2, declare_exchange{{"Orderbook"}});
  request(3, declare_queue{{"q"}});
  sent();
  feed(broker::exchange_declared()
       + broker::close_channel(1, 406, "PRECONDITION_FAILED - inequivalent arg 'type'",
                               AMQP_EXCHANGE_DECLARE_METHOD));
  CAF_CHECK(raised()
            == lines({"replied 1", "replied 2 precondition_failed: declare exchange 'Orderbook' "
                                   "(topic): PRECONDITION_FAILED - inequivalent arg 'type' "
                                   "(406)"}));
  CAF_CHECK(sent() == lines({"1:20.41", "1:20.10", "1:50.10"}));
  feed(broker::channel_opened(1) + broker::queue_declared("q"));
  CAF_CHECK(raised() == lines{"replied 3 q"});
}

CAF_TEST(a channel without requests is opened again by the next one) {
  log_in();
  request(1, declare_exchange{{"Trade"}});
  feed(broker::close_channel(1, 403, "ACCESS_REFUSED", AMQP_EXCHANGE_DECLARE_METHOD));
  CAF_CHECK(sent().back() == "1:20.41");
  request(2, declare_exchange{{"Kline"}});
  CAF_CHECK(sent() == lines({"1:20.10", "1:40.10"}));
}

namespace {

/// How many of the frames are on the channel.
std::size_t count_on(const lines& frames, std::uint16_t channel) {
  const auto prefix = std::to_string(channel) + ":";
  return static_cast<std::size_t>(std::count_if(
      frames.begin(), frames.end(), [&](const std::string& x) { return x.starts_with(prefix); }));
}

constexpr auto channel_open = 1u;

} // namespace

// RabbitMQ works on channels at the same time, and on one in order.
CAF_TEST(a crowd of requests spreads over several channels and each queue stays on one) {
  log_in();
  auto name = [](int i) { return "q" + std::to_string(i); };
  for (auto i = 0; i < 64; ++i)
    request(i, declare_queue{{name(i)}});
  const auto declared = sent();
  for (std::uint16_t channel : {1, 4, 5, 6})
    CAF_CHECK_EQUAL(count_on(declared, channel), channel_open + 16);
  request(100, bind_queue{{"Trade", name(0), "#"}});
  request(101, bind_queue{{"Trade", name(63), "#"}});
  CAF_CHECK(sent() == lines({"1:50.20", "6:50.20"}));
  feed(broker::queue_declared(name(0)));
  feed(broker::queue_declared(name(16), 4));
  CAF_CHECK(raised() == lines({"replied 0 q0", "replied 16 q16"}));
}

CAF_TEST(a broker that allows few channels gets no more) {
  feed(broker::start() + broker::tune(60, 131'072, 4) + broker::open_ok());
  sent();
  for (auto i = 0; i < 64; ++i)
    request(i, declare_queue{{"q" + std::to_string(i)}});
  const auto declared = sent();
  CAF_CHECK_EQUAL(count_on(declared, 1) + count_on(declared, 4), 2 * channel_open + 64);
}

CAF_TEST(a refusal on a further channel leaves the others in place) {
  log_in();
  for (auto i = 0; i < 18; ++i)
    request(i, declare_queue{{"q" + std::to_string(i)}});
  sent();
  feed(broker::close_channel(4, 405, "RESOURCE_LOCKED", AMQP_QUEUE_DECLARE_METHOD));
  CAF_CHECK(raised()
            == lines{"replied 16 resource_locked: declare queue 'q16': RESOURCE_LOCKED (405)"});
  CAF_CHECK(sent() == lines({"4:20.41", "4:20.10", "4:50.10"}));
  feed(broker::channel_opened(4) + broker::queue_declared("q17", 4));
  CAF_CHECK(raised() == lines{"replied 17 q17"});
}

CAF_TEST(consumers set their prefetch count first) {
  log_in();
  consume_from(1, 7, "q");
  consumer forgetful;
  forgetful.id = 8;
  forgetful.queue = "q";
  forgetful.no_ack = true;
  request(2, start_consumer{forgetful});
  request(3, cancel_consumer{7});
  CAF_CHECK(sent() == lines({"2:20.10", "2:60.10", "2:60.20", "2:60.20", "2:60.30"}));
  feed(broker::consuming("la-7"));
  CAF_CHECK(raised() == lines{"replied 1"});
}

CAF_TEST(a refused consumer ends all consumers of the channel) {
  log_in();
  consume_from(1, 7, "q");
  consume_from(2, 8, "missing");
  consume_from(3, 9, "q");
  sent();
  feed(broker::consuming("la-7")
       + broker::close_channel(2, 404, "NOT_FOUND - no queue", AMQP_BASIC_CONSUME_METHOD));
  CAF_CHECK(raised()
            == lines({"replied 1",
                      "replied 2 not_found: start consumer 8 on queue 'missing': NOT_FOUND - no "
                      "queue (404)",
                      "closed deliveries not_found: NOT_FOUND - no queue (404)"}));
  CAF_CHECK(sent() == lines({"2:20.41", "2:20.10", "2:60.10", "2:60.20"}));
  feed(broker::channel_opened(2) + broker::consuming("la-9"));
  CAF_CHECK(raised() == lines{"replied 3"});
}

// An acknowledgement that fails is not the fault of a consumer being started.
CAF_TEST(a channel closed for a settlement refuses no request) {
  log_in();
  consume_from(1, 7, "q");
  sent();
  feed(broker::close_channel(2, 406, "PRECONDITION_FAILED - unknown delivery tag 1",
                             AMQP_BASIC_ACK_METHOD));
  CAF_CHECK(raised()
            == lines{"closed deliveries precondition_failed: PRECONDITION_FAILED - unknown "
                     "delivery tag 1 (406)"});
  CAF_CHECK(sent() == lines({"2:20.41", "2:20.10", "2:60.10", "2:60.20"}));
}

CAF_TEST(names that AMQP cannot carry are refused here) {
  log_in();
  std::string name(256, 'x');
  request(1, declare_exchange{{name}});
  request(2, bind_queue{{"Trade", "q", name}});
  consume_from(3, 7, name);
  CAF_CHECK(sent().empty());
  for (auto& line : raised())
    CAF_CHECK(line.find("invalid_argument") != std::string::npos);
  request(4, declare_exchange{{name.substr(1)}});
  CAF_CHECK(!sent().empty());
}

CAF_TEST(arguments that fit into no frame are refused here) {
  log_in();
  queue what;
  what.name = "q";
  what.arguments = {{"x", std::string(200'000, 'x')}};
  request(1, declare_queue{what});
  CAF_CHECK(raised()
            == lines{"replied 1 invalid_argument: declare queue 'q': its arguments do not fit into "
                     "a frame"});
}

CAF_TEST(the broker cancels a consumer) {
  log_in();
  consume_from(1, 7, "q");
  feed(broker::consuming("la-7") + broker::cancel("la-7"));
  CAF_CHECK(raised() == lines({"replied 1", "cancelled 7"}));
}

CAF_TEST(closing in good order) {
  log_in();
  publish(1);
  close();
  publish(2);
  CAF_CHECK(sent() == lines({"3:20.10", "3:85.10", "3:60.40", "3:header", "3:body", "0:10.50"}));
  feed(broker::ack(1, false)
       + broker::method(0, AMQP_CONNECTION_CLOSE_OK_METHOD, amqp_connection_close_ok_t{}));
  CAF_CHECK(raised() == lines({"confirmed +1", "down none"}));
}

CAF_TEST(the broker closes the connection) {
  log_in();
  feed(broker::close_connection(320, "CONNECTION_FORCED - shutdown"));
  CAF_CHECK(raised()
            == lines{"down connection_forced: amqp://localhost:5672/: the broker closed the "
                     "connection: CONNECTION_FORCED - shutdown (320)"});
  CAF_CHECK(sent() == lines{"0:10.51"});
}

CAF_TEST_FIXTURE_SCOPE_END()
