#define CAF_SUITE amqp.relay.client

#include "amqp/relay/client.hpp"

#include "relay/session.hpp"
#include "unit/amqp/rabbitmq/recorded_events.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace actors::amqp;
using namespace std::chrono_literals;

namespace {

using lines = std::vector<std::string>;

/// A host's end, the relay's bytes and a clock that only the test moves.
struct fixture {
  static endpoint where() {
    auto result = *parse_endpoint("relay://relay-1");
    result.connection_name = "host-1";
    return result;
  }

  void feed(const relay_frame& x) {
    std::string bytes;
    append(bytes, x);
    talk.feed(bytes, now);
  }

  /// The frames that were sent since the last call.
  std::vector<host_frame> sent() {
    frame_reader in{default_relay_frame};
    in.add(talk.output());
    talk.consume(talk.output().size(), now);
    std::vector<host_frame> result;
    while (auto x = in.next())
      result.push_back(*decode_host_frame(*x));
    return result;
  }

  void welcome() {
    feed(relay_welcome{"RabbitMQ", 100'000});
    events->take();
    sent();
  }

  void pass(std::chrono::milliseconds time) {
    now += time;
    talk.tick(now);
  }

  publication some_publication(std::uint64_t id, std::size_t size) {
    publication x;
    x.id = id;
    x.body = std::make_shared<const std::string>(size, 'x');
    return x;
  }

  link_protocol::time_point now{1h};
  std::shared_ptr<recorded_events> events = std::make_shared<recorded_events>();
  relay_client talk{where(), events, now};
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(relay_client_tests, fixture)

CAF_TEST(it says who it is and waits for the welcome) {
  auto first = sent();
  CAF_REQUIRE_EQUAL(first.size(), 2u);
  CAF_CHECK_EQUAL(std::get<relay_tune>(first[1]).max_frame, default_host_frame);
  CAF_CHECK_EQUAL(std::get<relay_hello>(first[0]).name, "host-1");
  CAF_CHECK_EQUAL(std::get<relay_hello>(first[0]).heartbeat_ms, 1'000u);
  talk.execute(request_command{1, delete_queue{"q"}}, now);
  CAF_CHECK(sent().empty());
  feed(relay_welcome{"RabbitMQ 3.10", 100'000});
  CAF_CHECK(events->take() == lines{"up RabbitMQ 3.10"});
  CAF_CHECK_EQUAL(sent().size(), 1u);
}

CAF_TEST(a refusal says why and from whom) {
  feed(relay_refusal{9, {ec::protocol_error, "the relay speaks version 9"}});
  CAF_CHECK(events->take()
            == lines{"down protocol_error: relay://relay-1:5670: the relay speaks version 9"});
  CAF_CHECK(talk.is_down());
}

CAF_TEST(whoever speaks another protocol is no relay) {
  talk.feed("AMQP\0\0\x09\x01 and something more", now);
  CAF_CHECK(events->down_code == ec::protocol_error);
}

CAF_TEST(what a relay may not say ahead of its welcome) {
  feed(relay_cancelled{1});
  CAF_CHECK(events->down_code == ec::protocol_error);
}

CAF_TEST(deliveries of one read come together and are credited) {
  welcome();
  std::string bytes;
  for (auto i : {1, 2, 3}) {
    delivery x;
    x.tag = static_cast<std::uint64_t>(i);
    append(bytes, relay_frame{relay_deliveries{1, {x}}});
  }
  talk.feed(bytes, now);
  CAF_CHECK(events->take() == lines{"delivered 3 in life 1"});
  auto answers = sent();
  CAF_REQUIRE_EQUAL(answers.size(), 1u);
  CAF_CHECK_EQUAL(std::get<relay_credit>(answers[0]).taken, 3u);
}

CAF_TEST(busy channels do not break up the batches of one another) {
  welcome();
  std::string bytes;
  for (std::uint64_t tag = 1; tag <= 5; ++tag)
    for (std::uint32_t generation : {1, 2}) {
      delivery x;
      x.tag = tag;
      append(bytes, relay_frame{relay_deliveries{generation, {x}}});
    }
  talk.feed(bytes, now);
  CAF_CHECK(events->take() == (lines{"delivered 5 in life 1", "delivered 5 in life 2"}));
  auto answers = sent();
  CAF_REQUIRE_EQUAL(answers.size(), 1u);
  CAF_CHECK_EQUAL(std::get<relay_credit>(answers[0]).taken, 10u);
}

CAF_TEST(deliveries keep their place among other events) {
  welcome();
  std::string bytes;
  append(bytes, relay_frame{relay_deliveries{1, {delivery{}}}});
  append(bytes, relay_frame{closed_channel{channel::deliveries, {ec::not_found, "no"}}});
  append(bytes, relay_frame{relay_deliveries{2, {delivery{}}}});
  talk.feed(bytes, now);
  CAF_CHECK(events->take()
            == (lines{"delivered 1 in life 1", "closed deliveries not_found: no",
                      "delivered 1 in life 2"}));
}

CAF_TEST(a message that is too large is refused with its size and the others are sent) {
  welcome();
  talk.execute(publish_command{1,
                               {some_publication(1, 10), some_publication(2, 200'000),
                                some_publication(3, 60'000), some_publication(4, 60'000)}},
               now);
  CAF_CHECK(events->take()
            == lines{"refused 2 limit_exceeded: publish to exchange '' with routing key '': "
                     "the message has about 203072 bytes, and the relay takes 100000: send "
                     "smaller ones"});
  std::size_t count = 0;
  for (auto& x : sent())
    count += std::get<publish_command>(x).items.size();
  CAF_CHECK_EQUAL(count, 3u);
}

CAF_TEST(what was checked before is not checked again and all else is) {
  welcome();
  auto x = some_publication(1, 4);
  x.properties.expiration = std::chrono::hours{24 * 365 * 11};
  auto y = x;
  y.id = 2;
  y.checked = true;
  talk.execute(publish_command{1, {x, y}}, now);
  CAF_CHECK_EQUAL(events->take().size(), 1u);
  auto frames = sent();
  CAF_REQUIRE_EQUAL(frames.size(), 1u);
  auto& items = std::get<publish_command>(frames[0]).items;
  CAF_REQUIRE_EQUAL(items.size(), 1u);
  CAF_CHECK_EQUAL(items[0].id, 2u);
  CAF_CHECK(!items[0].checked); // the relay takes nobody's word for it
}

CAF_TEST(an idle link sends signs of life and wants some) {
  welcome();
  pass(1s);
  CAF_CHECK(std::holds_alternative<relay_heartbeat>(sent().at(0)));
  feed(relay_heartbeat{});
  pass(2'999ms);
  CAF_CHECK(events->take().empty());
  pass(1ms);
  CAF_CHECK(events->down_code == ec::heartbeat_timeout);
}

CAF_TEST(a relay that does not welcome is given up) {
  pass(9'999ms);
  CAF_CHECK(!talk.is_down());
  pass(1ms);
  CAF_CHECK(events->down_code == ec::handshake_timeout);
}

CAF_TEST(a relay that takes no bytes is given up) {
  welcome();
  talk.execute(request_command{1, delete_queue{"q"}}, now);
  for (auto i = 0; i < 20; ++i) {
    feed(relay_heartbeat{});
    feed(reply{});
    pass(1s);
  }
  CAF_CHECK(events->down_code == ec::send_timeout || events->down_code == ec::request_timeout);
}

CAF_TEST(a request without an answer ends the link) {
  welcome();
  talk.execute(request_command{1, delete_queue{"q"}}, now);
  for (auto i = 0; i < 10; ++i) {
    CAF_CHECK(!talk.is_down());
    sent();
    feed(relay_heartbeat{});
    pass(1s);
  }
  CAF_CHECK(events->down_code == ec::request_timeout);
}

CAF_TEST(a crowd of requests may take longer while answers come) {
  welcome();
  for (request_id id = 1; id <= 40; ++id)
    talk.execute(request_command{id, delete_queue{"q"}}, now);
  for (request_id id = 1; id <= 30; ++id) {
    sent();
    feed(reply{id});
    pass(1s);
    CAF_REQUIRE(!talk.is_down());
  }
  for (auto i = 0; i < 10; ++i) {
    sent();
    feed(relay_heartbeat{});
    pass(1s);
  }
  CAF_CHECK(events->down_code == ec::request_timeout);
}

CAF_TEST(the end of its link to the broker is the end of ours) {
  welcome();
  feed(relay_down{{ec::connection_forced, "amqp://broker: shutdown"}});
  CAF_CHECK(events->take()
            == lines{"down connection_forced: relay://relay-1:5670: the relay has no link to its "
                     "broker: amqp://broker: shutdown"});
}

CAF_TEST(a link that was closed ends without an error) {
  welcome();
  talk.execute(close_command{}, now);
  CAF_CHECK(std::holds_alternative<close_command>(sent().at(0)));
  feed(relay_down{});
  CAF_CHECK(events->take() == lines{"down none"});
}

CAF_TEST(headers count as well as the body) {
  welcome();
  auto large = some_publication(1, 10);
  large.properties.headers = {{"note", std::string(100'000, 'x')}};
  talk.execute(publish_command{1, {large, some_publication(2, 10)}}, now);
  const auto told = events->take();
  CAF_REQUIRE_EQUAL(told.size(), 1u);
  CAF_CHECK(told[0].find("refused 1 limit_exceeded") == 0);
  auto frames = sent();
  CAF_REQUIRE_EQUAL(frames.size(), 1u);
  CAF_CHECK_EQUAL(std::get<publish_command>(frames[0]).items.at(0).id, 2u);
}

CAF_TEST(what was to start on a channel that ended is not waited for) {
  welcome();
  talk.execute(request_command{1, start_consumer{{5, "q", 10}}}, now);
  talk.execute(request_command{2, start_consumer{{6, "r", 10}}}, now);
  sent();
  feed(closed_channel{channel::deliveries, {ec::not_found, "no"}, 1, {5}});
  feed(reply{.id = 2});
  for (auto i = 0; i < 12; ++i) {
    feed(relay_heartbeat{});
    pass(1s);
    sent();
  }
  CAF_CHECK(!talk.is_down());
}

CAF_TEST(what cannot be read of a delivery is told) {
  welcome();
  delivery x;
  x.unreadable = std::make_shared<const failure>(failure{ec::limit_exceeded, "too large"});
  feed(relay_deliveries{1, {x}});
  CAF_REQUIRE_EQUAL(events->deliveries.size(), 1u);
  CAF_CHECK_EQUAL(events->deliveries[0].unreadable->text, "too large");
}

// Time that has come but that nothing is done about would have the link spin.
CAF_TEST(a link that closes waits for nothing but its end) {
  welcome();
  talk.execute(request_command{1, delete_queue{"q"}}, now);
  sent();
  pass(2s);
  talk.execute(close_command{}, now);
  sent();
  for (auto i = 0; i < 9; ++i) {
    pass(1s);
    CAF_CHECK(talk.deadline() > now);
  }
  pass(1s);
  CAF_CHECK(events->take() == lines{"down none"});
}

CAF_TEST_FIXTURE_SCOPE_END()
