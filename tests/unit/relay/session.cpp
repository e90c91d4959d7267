#define CAF_SUITE amqp.relay.session

#include "relay/session.hpp"

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

  void greet(relay_tune tune = {}) {
    relay_hello hello;
    hello.name = "host-1";
    hello.heartbeat_ms = 1'000;
    feed(hello);
    feed(tune);
    talk.raise(relay_welcome{"RabbitMQ"}, now);
    said();
  }

  std::vector<relay_frame> said() {
    frame_reader in{default_host_frame};
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

  void deliver(consumer_id consumer, std::uint64_t tag, std::uint32_t generation = 1,
               std::size_t size = 0) {
    talk.raise(relay_deliveries{generation, {some_delivery(consumer, tag, size)}}, now);
  }

  static delivery some_delivery(consumer_id consumer, std::uint64_t tag, std::size_t size) {
    delivery x;
    x.consumer = consumer;
    x.tag = tag;
    x.body.assign(size, 'x');
    return x;
  }

  void publish(std::uint64_t id, std::size_t size, std::uint32_t generation = 1) {
    publication x;
    x.id = id;
    x.body = std::make_shared<const std::string>(size, 'x');
    feed(publish_command{generation, {x}});
  }

  /// The deliveries that were said, each as "tag" or "tag: why it cannot be read".
  std::vector<std::string> delivered() {
    std::vector<std::string> result;
    for (auto& x : said())
      for (auto& y : std::get<relay_deliveries>(x).items)
        result.push_back(std::to_string(y.tag) + (y.unreadable ? ": " + y.unreadable->text : ""));
    return result;
  }

  void pass(std::chrono::milliseconds time) {
    now += time;
    talk.tick(now);
  }

  relay_session::time_point now{1h};
  std::shared_ptr<scripted_link> link = std::make_shared<scripted_link>();
  int links = 0;
  failure no_link;
  broker_limits known;
  relay_session talk{limits(),
                     [this](const relay_hello&, const relay_tune& tune) {
                       known = tune.known;
                       if (no_link)
                         return outcome<transport_ptr>{nullptr, no_link};
                       ++links;
                       return outcome<transport_ptr>{std::make_unique<scripted_transport>(link)};
                     },
                     now};

  static session_limits limits() {
    session_limits result;
    result.max_unconfirmed = 100'000;
    return result;
  }
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(relay_session_tests, fixture)

CAF_TEST(a host is welcome once the broker is reached) {
  relay_hello hello;
  hello.name = "host-1";
  feed(hello);
  CAF_CHECK_EQUAL(links, 0);
  feed(relay_tune{});
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

CAF_TEST(a host that is not given a link is told why) {
  no_link = {ec::limit_exceeded, "the relay has 2 links"};
  feed(relay_hello{});
  feed(relay_tune{});
  CAF_CHECK_EQUAL(refusal().text, "the relay has 2 links");
  CAF_CHECK(!talk.greeted());
}

CAF_TEST(what former links have learned is known to the next) {
  relay_tune tune;
  tune.known.consumers_per_channel = 2;
  greet(tune);
  CAF_CHECK(known == tune.known);
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
  const auto asked = std::get<start_consumer>(link->requests.at(0).second).spec;
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

// -- several lives of channels at a time ---------------------------------------------------

CAF_TEST(a channel that ends leaves the others as they are) {
  greet();
  feed(request_command{1, start_consumer{{5, "q", 0, true}}});
  feed(request_command{2, start_consumer{{6, "r", 0, true}}});
  deliver(5, 1, 1);
  deliver(6, 1, 2);
  talk.raise(closed_channel{channel::deliveries, {ec::not_found, "no"}, 1, {5}}, now);
  deliver(6, 2, 2);
  feed(relay_credit{3});
  CAF_REQUIRE_EQUAL(link->settlements.size(), 1u);
  CAF_CHECK_EQUAL(link->settlements[0].generation, 2u);
  CAF_CHECK(link->settlements[0].items == (std::vector<settlement>{{1}, {2}}));
}

CAF_TEST(what is owed goes to the channel that it came by) {
  greet();
  feed(request_command{1, start_consumer{{5, "q", 0, true}}});
  feed(request_command{2, start_consumer{{6, "r", 0, true}}});
  deliver(5, 1, 1);
  deliver(6, 1, 2);
  deliver(5, 2, 1);
  feed(relay_credit{3});
  CAF_REQUIRE_EQUAL(link->settlements.size(), 3u);
  CAF_CHECK_EQUAL(link->settlements[0].generation, 1u);
  CAF_CHECK_EQUAL(link->settlements[1].generation, 2u);
  CAF_CHECK_EQUAL(link->settlements[2].generation, 1u);
}

CAF_TEST(a group reaches the broker) {
  greet();
  consumer wanted{5, "q", 10};
  wanted.group = 3;
  feed(request_command{1, start_consumer{wanted}});
  CAF_CHECK(std::get<start_consumer>(link->requests.at(0).second).spec == wanted);
}

// -- what is too large -----------------------------------------------------------------------

CAF_TEST(what a host cannot be given is skipped and the others arrive) {
  greet({100'000, {}});
  talk.raise(relay_deliveries{1,
                              {some_delivery(5, 1, 40'000), some_delivery(5, 2, 40'000),
                               some_delivery(5, 3, 100'000), some_delivery(5, 4, 40'000)}},
             now);
  const auto got = delivered();
  CAF_REQUIRE_EQUAL(got.size(), 4u);
  CAF_CHECK_EQUAL(got[0], "1");
  CAF_CHECK_EQUAL(got[1], "2");
  CAF_CHECK(got[2].find("3: its body of 100000 bytes") == 0);
  CAF_CHECK(got[2].find("100000 that a strategy's host takes") != std::string::npos);
  CAF_CHECK_EQUAL(got[3], "4");
  feed(relay_credit{4});
  CAF_CHECK(!talk.is_down());
}

CAF_TEST(a returned message that is too large comes back without its headers) {
  greet({100'000, {}});
  returned_message x;
  x.properties.message_id = "7";
  x.properties.headers = {{"x", std::string(100'000, 'x')}};
  talk.raise(x, now);
  CAF_CHECK(std::get<returned_message>(said().at(0)).properties.message_id == "7");
}

// -- a broker that is slow to confirm --------------------------------------------------------

CAF_TEST(a host is read from as long as its broker keeps up) {
  greet();
  publish(1, 60'000);
  CAF_CHECK(talk.wants_bytes());
  publish(2, 60'000);
  CAF_CHECK(!talk.wants_bytes());
  CAF_CHECK(std::holds_alternative<relay_blocked>(said().at(0)));
  talk.raise(relay_confirmations{{{1, true}}}, now);
  CAF_CHECK(!talk.wants_bytes());
  talk.raise(relay_refused{2, {ec::limit_exceeded, "too large"}}, now);
  CAF_CHECK(talk.wants_bytes());
  CAF_CHECK(std::holds_alternative<relay_unblocked>(said().back()));
}

CAF_TEST(a host that is not read from is not lost for its silence) {
  greet();
  publish(1, 200'000);
  pass(1min);
  CAF_CHECK(!talk.is_down());
  talk.raise(relay_confirmations{{{1, true}}}, now);
  pass(2'999ms);
  CAF_CHECK(!talk.is_down());
  pass(1ms);
  CAF_CHECK(talk.is_down());
}

CAF_TEST(a host is blocked until both its broker and its relay take more) {
  greet();
  talk.raise(relay_blocked{"memory"}, now);
  publish(1, 200'000);
  said();
  talk.raise(relay_unblocked{}, now);
  CAF_CHECK(said().empty());
  talk.raise(relay_confirmations{{{1, true}}}, now);
  CAF_CHECK(std::holds_alternative<relay_unblocked>(said().back()));
}

CAF_TEST(a channel that ends takes what was unconfirmed along) {
  greet();
  publish(1, 200'000);
  talk.raise(closed_channel{channel::publishing, {ec::not_found, "no"}}, now);
  CAF_CHECK(talk.wants_bytes());
  publish(2, 200'000); // on its way when the channel ended: it has no answer
  CAF_CHECK(talk.wants_bytes());
  publish(1, 200'000, 2);
  CAF_CHECK(!talk.wants_bytes());
}

CAF_TEST_FIXTURE_SCOPE_END()
