#define CAF_SUITE amqp.session.requests

#include <algorithm>

#include "amqp/channel_division.hpp"
#include "unit/amqp/rabbitmq/session_fixture.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace actors::amqp;

namespace {

struct requests : session_fixture {
  /// Starts a consumer of a group.
  void start(request_id id, consumer_id consumer, std::uint32_t group) {
    amqp::consumer what;
    what.id = consumer;
    what.queue = "q";
    what.group = group;
    request(id, start_consumer{what});
  }
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(request_tests, requests)

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

CAF_TEST(what comes behind a request that hangs goes by another channel) {
  log_in();
  request(1, declare_queue{{"hangs"}});
  sent();
  pass(std::chrono::seconds{1});
  request(2, declare_queue{{"well"}});
  CAF_CHECK_EQUAL(count_on(sent(), 4), channel_open + 1);
  request(3, bind_queue{{"Trade", "hangs", "#"}});
  CAF_CHECK(sent() == lines{"1:50.20"});
}

CAF_TEST(a broker that allows few channels gets no more) {
  feed(broker::start() + broker::tune(60, 131'072, 5) + broker::open_ok());
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

// The broker grants some consumers later than it refuses others: who is to blame is not known.
CAF_TEST(a channel that the broker closes names its consumers and answers none) {
  log_in();
  consume_from(1, 7, "q");
  consume_from(2, 8, "missing");
  consume_from(3, 9, "q");
  sent();
  feed(broker::consuming("la-7")
       + broker::close_channel(2, 404, "NOT_FOUND - no queue", AMQP_BASIC_CONSUME_METHOD));
  CAF_CHECK(
      raised()
      == lines({"replied 1", "closed deliveries of 7,8,9 not_found: NOT_FOUND - no queue (404)"}));
  CAF_CHECK(sent() == lines({"2:20.41"}));
  consume_from(4, 9, "q");
  CAF_CHECK(sent() == lines({"2:20.10", "2:60.10", "2:60.20"}));
  feed(broker::channel_opened(2) + broker::consuming("la-9"));
  CAF_CHECK(raised() == lines{"replied 4"});
}

CAF_TEST(what was being cancelled on a closed channel is gone as it was to be) {
  log_in();
  consume_from(1, 7, "q");
  consume_from(2, 8, "q");
  feed(broker::consuming("la-7") + broker::consuming("la-8"));
  request(3, cancel_consumer{7});
  consume_from(4, 9, "q");
  request(5, cancel_consumer{9});
  raised();
  feed(broker::close_channel(2, 541, "INTERNAL_ERROR"));
  CAF_CHECK(raised()
            == lines({"replied 3",
                      "replied 4 internal_error: start consumer 9 on queue 'q': INTERNAL_ERROR "
                      "(541)",
                      "replied 5", "closed deliveries of 8 internal_error: INTERNAL_ERROR (541)"}));
}

CAF_TEST(a consumer that is gone already may be said to be gone once more) {
  log_in();
  consume_from(1, 7, "q");
  feed(broker::consuming("la-7"));
  request(2, cancel_consumer{7});
  raised();
  feed(broker::cancelled("la-7") + broker::cancelled("la-7"));
  CAF_CHECK(raised() == lines{"replied 2"});
}

// It is started again as all that ran there: by whoever hears that the channel is gone.
CAF_TEST(a consumer that was started again is not answered for the channel that it left) {
  log_in();
  consume_from(1, 7, "q");
  feed(broker::consuming("la-7"));
  request(2, cancel_consumer{7});
  consume_from(3, 7, "q");
  raised();
  feed(broker::close_channel(2, 404, "NOT_FOUND"));
  CAF_CHECK(raised() == lines({"replied 2", "closed deliveries of 7 not_found: NOT_FOUND (404)"}));
}

CAF_TEST(consumers of another group have a channel of their own) {
  log_in();
  consume_from(1, 7, "q");
  start(2, 8, 1);
  start(3, 9, 2);
  CAF_CHECK(sent()
            == lines({"2:20.10", "2:60.10", "2:60.20", "7:20.10", "7:60.10", "7:60.20", "8:20.10",
                      "8:60.10", "8:60.20"}));
  feed(broker::consuming("la-7") + broker::consuming("la-8", 7) + broker::consuming("la-9", 8)
       + broker::message("la-7", 1, "x") + broker::message("la-8", 1, "x", 7));
  CAF_CHECK(raised()
            == lines({"replied 1", "replied 2", "replied 3", "delivered 1 in life 1",
                      "delivered 1 in life 2"}));
  // The end of one is nothing to the others.
  feed(broker::close_channel(7, 403, "ACCESS_REFUSED"));
  CAF_CHECK(raised() == lines{"closed deliveries of 8 access_refused: ACCESS_REFUSED (403)"});
  talk.execute(settle_command{1, {{1}}}, now);
  talk.execute(settle_command{2, {{1}}}, now);
  CAF_CHECK(sent() == lines({"7:20.41", "2:60.80"}));
  feed(broker::message("la-9", 1, "x", 8));
  CAF_CHECK(raised() == lines{"delivered 1 in life 3"});
  talk.execute(settle_command{3, {{1}}}, now);
  CAF_CHECK(sent() == lines{"8:60.80"});
  // Another group takes the channel that nobody uses.
  start(4, 10, 3);
  CAF_CHECK(sent() == lines({"7:20.10", "7:60.10", "7:60.20"}));
  feed(broker::channel_opened(7) + broker::consuming("la-10", 7)
       + broker::message("la-10", 1, "x", 7));
  CAF_CHECK(raised() == lines({"replied 4", "delivered 1 in life 4"}));
}

CAF_TEST(consumers spread over channels where a channel may have few) {
  auto limited = where();
  limited.known.consumers_per_channel = 2;
  session_fixture x{true, limited};
  x.log_in();
  for (consumer_id id = 1; id <= 5; ++id)
    x.consume_from(id, id, "q");
  const auto frames = x.sent();
  for (auto [channel, count] : {std::pair{2, 2}, {7, 2}, {8, 1}})
    CAF_CHECK_EQUAL(std::count(frames.begin(), frames.end(), std::to_string(channel) + ":60.20"),
                    count);
  x.feed(broker::consuming("la-1"));
  x.request(6, cancel_consumer{1});
  CAF_CHECK(x.sent() == lines{"2:60.30"});
  x.feed(broker::cancelled("la-1"));
  x.consume_from(7, 6, "q");
  CAF_CHECK(x.sent() == lines{"2:60.20"});
}

CAF_TEST(a consumer for which no channel has room is refused) {
  auto limited = where();
  limited.known.consumers_per_channel = 1;
  session_fixture x{true, limited};
  x.feed(broker::start() + broker::tune(60, 131'072, 3) + broker::open_ok());
  x.raised();
  x.consume_from(1, 1, "q");
  x.consume_from(2, 2, "q");
  CAF_CHECK(
      x.raised()
      == lines{"replied 2 not_allowed: start consumer 2 on queue 'q': " + no_room_text({3, 1})});
}

CAF_TEST(one that is being cancelled takes no room on its channel) {
  auto limited = where();
  limited.known.consumers_per_channel = 1;
  session_fixture x{true, limited};
  x.feed(broker::start() + broker::tune(60, 131'072, 3) + broker::open_ok());
  x.consume_from(1, 1, "q");
  x.request(2, cancel_consumer{1});
  x.sent();
  x.consume_from(3, 2, "q");
  CAF_CHECK(x.sent() == lines{"2:60.20"});
}

CAF_TEST(with two channels publications share one with deliveries) {
  feed(broker::start() + broker::tune(60, 131'072, 2) + broker::open_ok());
  sent();
  request(1, declare_queue{{"q"}});
  consume_from(2, 7, "q");
  start(3, 8, 5);
  publish(1);
  CAF_CHECK(sent()
            == lines({"1:20.10", "1:50.10", "2:20.10", "2:60.10", "2:60.20", "2:60.20", "2:85.10",
                      "2:60.40", "2:header", "2:body"}));
  feed(broker::close_channel(2, 404, "NOT_FOUND", AMQP_BASIC_PUBLISH_METHOD));
  raised();
  publish(2, "{}", 2);
  CAF_CHECK(sent() == lines({"2:20.41", "2:20.10", "2:85.10", "2:60.40", "2:header", "2:body"}));
}

CAF_TEST(with one channel all share it and each is told of its end) {
  auto frugal = where();
  frugal.known.channels = 1;
  session_fixture x{true, frugal};
  x.log_in();
  x.consume_from(1, 7, "q");
  x.request(2, declare_queue{{"q"}});
  x.request(3, bind_queue{{"missing", "q", "#"}});
  x.publish(1);
  CAF_CHECK(x.sent()
            == lines({"1:20.10", "1:60.10", "1:60.20", "1:50.10", "1:50.20", "1:85.10", "1:60.40",
                      "1:header", "1:body"}));
  // A consumer is granted by its queue, later than the channel goes on.
  x.feed(broker::queue_declared("q"));
  x.feed(broker::close_channel(1, 404, "NOT_FOUND", AMQP_QUEUE_BIND_METHOD));
  CAF_CHECK(x.raised()
            == lines({"replied 2 q",
                      "replied 3 not_found: bind queue 'q' to exchange 'missing' with routing "
                      "key '#': NOT_FOUND (404)",
                      "closed publishing not_found: NOT_FOUND (404)",
                      "closed deliveries of 7 not_found: NOT_FOUND (404)"}));
}

CAF_TEST(a consumer is not started twice) {
  log_in();
  consume_from(1, 7, "q");
  consume_from(2, 7, "q");
  CAF_CHECK(raised()
            == lines{"replied 2 invalid_argument: start consumer 7 on queue 'q': it runs already: "
                     "cancel it first"});
  request(3, cancel_consumer{8});
  CAF_CHECK(raised() == lines{"replied 3"});
}

// A broker may hold on to a name for a while.
CAF_TEST(a consumer that is started again has another name) {
  log_in();
  consume_from(1, 7, "q");
  feed(broker::consuming("la-7") + broker::cancel("la-7"));
  raised();
  consume_from(2, 7, "q");
  feed(broker::consuming("la-7.2") + broker::message("la-7.2", 1, "x"));
  CAF_CHECK(raised() == lines({"replied 2", "delivered 1 in life 1"}));
  request(3, cancel_consumer{7});
  consume_from(4, 7, "q");
  feed(broker::cancelled("la-7.2") + broker::consuming("la-7.3"));
  CAF_CHECK(raised() == lines({"replied 3", "replied 4"}));
}

CAF_TEST(a broker that keeps a cancelled consumer is told that it may go) {
  for (auto version : {"3.13.7", "4.0.5", "4.2.9", "4.3.0", "4.10.1", "5.0.0", ""}) {
    session_fixture x;
    x.feed(broker::start("PLAIN", 0, version) + broker::tune() + broker::open_ok());
    x.consume_from(1, 7, "q");
    x.sent();
    x.feed(broker::consuming("la-7") + broker::cancel("la-7"));
    const auto keeps = std::string_view{"4.3.0 4.10.1 5.0.0"}.find(version) != std::string::npos
                       && *version != '\0';
    CAF_CHECK(x.sent() == (keeps ? lines{"2:60.30"} : lines{}));
  }
}

// An acknowledgement that fails is not the fault of a consumer being started.
CAF_TEST(a channel closed for a settlement refuses no request) {
  log_in();
  consume_from(1, 7, "q");
  sent();
  feed(broker::close_channel(2, 406, "PRECONDITION_FAILED - unknown delivery tag 1",
                             AMQP_BASIC_ACK_METHOD));
  CAF_CHECK(raised()
            == lines{"closed deliveries of 7 precondition_failed: PRECONDITION_FAILED - unknown "
                     "delivery tag 1 (406)"});
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
            == lines{"replied 1 invalid_argument: declare queue 'q': its arguments do not fit the "
                     "broker's frame of 131072 bytes: give fewer or shorter ones"});
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

CAF_TEST(the first open requests made with the named method are suspected) {
  log_in();
  request(1, declare_exchange{{"Trade"}});
  for (auto i = 10; i < 40; ++i)
    request(i, declare_queue{{"q" + std::to_string(i)}});
  request(2, bind_queue{{"Trade", "q10", "#"}});
  consume_from(3, 7, "q");
  feed(broker::exchange_declared() + broker::queue_declared("q10"));
  raised();
  feed(broker::close_connection(541, "INTERNAL_ERROR", AMQP_QUEUE_DECLARE_METHOD));
  CAF_CHECK(raised()
            == lines({"suspected 11 25",
                      "down internal_error: amqp://localhost:5672/: the broker closed the "
                      "connection: INTERNAL_ERROR (541)"}));
}

CAF_TEST(all first open requests are suspected where no method is named) {
  log_in();
  request(1, declare_exchange{{"Trade"}});
  request(2, declare_exchange{{"Kline"}});
  consume_from(3, 7, "q");
  consume_from(4, 8, "q");
  feed(broker::close_connection(541, "INTERNAL_ERROR"));
  CAF_CHECK(raised().front() == "suspected 1 3");
}

CAF_TEST(a limit is learned and nobody is suspected of it) {
  const std::pair<const char*, const char*> limits[] = {
      {"NOT_ALLOWED - number of channels opened for user 'guest' has reached the maximum allowed "
       "user limit of (3)",
       "learned channels=1 consumers=0 size=0"},
      {"NOT_ALLOWED - number of channels opened on node 'a@b' has reached the maximum allowed "
       "limit of 30",
       "learned channels=2 consumers=0 size=0"},
      {"NOT_ALLOWED - reached maximum (2) of consumers per channel",
       "learned channels=2047 consumers=2 size=0"},
      {"INTERNAL_ERROR - Feature `transient_nonexcl_queues` is deprecated.",
       "learned channels=0 consumers=0 size=0 no transient queues"},
  };
  for (auto& [text, learned] : limits) {
    session_fixture x;
    x.log_in();
    x.request(1, declare_queue{{"q"}});
    x.consume_from(2, 7, "q");
    x.publish(1);
    x.feed(broker::close_connection(530, text, AMQP_BASIC_CONSUME_METHOD));
    auto events = x.raised();
    CAF_REQUIRE_EQUAL(events.size(), 2u);
    CAF_CHECK_EQUAL(events[0], learned);
    CAF_CHECK(events[1].starts_with("down"));
  }
}

CAF_TEST_FIXTURE_SCOPE_END()
