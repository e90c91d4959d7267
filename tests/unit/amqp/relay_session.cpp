#define CAF_SUITE amqp.relay.session

#include "amqp/relay_session.hpp"

#include "support/scripted_transport.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace actors::amqp;
using namespace actors::testing;
using namespace std::chrono_literals;

namespace {

/// A relay's end, a host's bytes, a scripted link and a clock that only the test moves.
struct fixture {
  void feed(const host_frame& x) {
    std::string bytes;
    append(bytes, x);
    talk.feed(bytes, now);
  }

  void greet() {
    relay_hello hello;
    hello.name = "host-1";
    hello.heartbeat_ms = 1'000;
    feed(hello);
    talk.raise(relay_welcome{"RabbitMQ"}, now);
    said();
  }

  std::vector<relay_frame> said() {
    frame_reader in{default_relay_frame};
    in.add(talk.take_output());
    std::vector<relay_frame> result;
    while (auto x = in.next())
      result.push_back(*decode_relay_frame(*x));
    return result;
  }

  /// Why the host was turned away.
  failure refusal() {
    auto last = said();
    CAF_REQUIRE(!last.empty());
    CAF_REQUIRE(talk.is_down());
    return std::get<relay_refusal>(last.back()).reason;
  }

  void deliver(consumer_id consumer, std::uint64_t tag, std::uint32_t incarnation = 1) {
    delivery x;
    x.consumer = consumer;
    x.tag = tag;
    talk.raise(relay_deliveries{incarnation, {x}}, now);
  }

  void pass(std::chrono::milliseconds time) {
    now += time;
    talk.tick(now);
  }

  relay_session::time_point now{1h};
  std::shared_ptr<scripted_link> link = std::make_shared<scripted_link>();
  int links = 0;
  relay_session talk{session_limits{},
                     [this](const relay_hello&) {
                       ++links;
                       return std::make_unique<scripted_transport>(link);
                     },
                     now};
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(relay_session_tests, fixture)

CAF_TEST(a host is welcome once the broker is reached) {
  relay_hello hello;
  hello.name = "host-1";
  feed(hello);
  CAF_CHECK_EQUAL(links, 1);
  CAF_CHECK(said().empty());
  talk.raise(relay_welcome{"RabbitMQ 3.10"}, now);
  const auto answer = std::get<relay_welcome>(said().at(0));
  CAF_CHECK_EQUAL(answer.broker, "RabbitMQ 3.10");
  CAF_CHECK_EQUAL(answer.max_frame, default_relay_frame);
  CAF_CHECK_EQUAL(talk.name(), "host-1");
}

CAF_TEST(a host of another version is told both) {
  relay_hello hello;
  hello.protocol = 7;
  hello.software = "9.1.0";
  feed(hello);
  const auto why = refusal();
  CAF_CHECK(why.code == ec::protocol_error);
  CAF_CHECK(why.text.find("version 7") != std::string::npos);
  CAF_CHECK(why.text.find("version " + std::to_string(relay_protocol)) != std::string::npos);
  CAF_CHECK(why.text.find("9.1.0") != std::string::npos);
  CAF_CHECK_EQUAL(links, 0);
}

CAF_TEST(garbage never reaches a broker) {
  talk.feed("GET / HTTP/1.1\r\n\r\n", now);
  CAF_CHECK(refusal().code == ec::protocol_error);
  CAF_CHECK_EQUAL(links, 0);
}

CAF_TEST(nobody writes lines of its own into the log) {
  relay_hello hello;
  hello.name = "host-1\n2026-11-25 info  all is well";
  feed(hello);
  CAF_CHECK(refusal().code == ec::protocol_error);
  CAF_CHECK_EQUAL(links, 0);
}

CAF_TEST(a first frame that is no hello is refused) {
  feed(relay_heartbeat{});
  CAF_CHECK(refusal().code == ec::protocol_error);
}

CAF_TEST(whoever says nothing is sent away) {
  pass(9'999ms);
  CAF_CHECK(!talk.is_down());
  talk.feed("\0\0", now);
  pass(1ms);
  CAF_CHECK(refusal().code == ec::handshake_timeout);
}

CAF_TEST(a frame that is too large ends the link and is not kept) {
  greet();
  talk.feed({"\x7f\xff\xff\xff", 4}, now);
  CAF_CHECK(refusal().code == ec::limit_exceeded);
}

CAF_TEST(a consumer that does not acknowledge has a window all the same) {
  greet();
  feed(request_command{1, start_consumer{{5, "q", 0, true}}});
  const auto asked = std::get<start_consumer>(link->requests.at(0).second).what;
  CAF_CHECK(!asked.no_ack);
  CAF_CHECK_EQUAL(asked.prefetch_count, session_limits{}.window);
  for (auto tag : {11u, 12u, 13u})
    deliver(5, tag);
  CAF_CHECK(link->settlements.empty());
  feed(relay_credit{2});
  CAF_REQUIRE_EQUAL(link->settlements.size(), 1u);
  CAF_CHECK(link->settlements[0].items == (std::vector<settlement>{{11}, {12}}));
}

CAF_TEST(a consumer that acknowledges is settled by its host alone) {
  greet();
  feed(request_command{1, start_consumer{{5, "q", 10, false}}});
  deliver(5, 1);
  feed(relay_credit{1});
  CAF_CHECK(link->settlements.empty());
  feed(settle_command{1, {{1, settlement::verdict::requeue}}});
  CAF_REQUIRE_EQUAL(link->settlements.size(), 1u);
  CAF_CHECK(link->settlements[0].items
            == (std::vector<settlement>{{1, settlement::verdict::requeue}}));
}

CAF_TEST(nobody takes more than was sent) {
  greet();
  feed(relay_credit{1});
  CAF_CHECK(refusal().code == ec::protocol_error);
}

CAF_TEST(deliveries of a feed are of the present life of the channel) {
  greet();
  talk.raise(closed_channel{channel::deliveries, {ec::not_found, "no"}}, now);
  deliver(5, 1, 0);
  const auto frames = said();
  CAF_REQUIRE_EQUAL(frames.size(), 2u);
  CAF_CHECK_EQUAL(std::get<relay_deliveries>(frames[1]).incarnation, 2u);
}

CAF_TEST(a silent host is lost) {
  greet();
  pass(1s);
  CAF_CHECK(std::holds_alternative<relay_heartbeat>(said().at(0)));
  pass(1'999ms);
  CAF_CHECK(!talk.is_down());
  pass(1ms);
  CAF_CHECK(refusal().code == ec::heartbeat_timeout);
}

CAF_TEST(a host that closes is not lost) {
  greet();
  feed(close_command{});
  CAF_CHECK(link->closing);
  talk.raise(relay_down{}, now);
  CAF_CHECK(talk.is_down());
  CAF_CHECK(!talk.why());
}

CAF_TEST_FIXTURE_SCOPE_END()
