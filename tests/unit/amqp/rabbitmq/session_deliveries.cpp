#define CAF_SUITE amqp.session.deliveries

#include "amqp/wire_rules.hpp"
#include "unit/amqp/rabbitmq/session_fixture.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace actors::amqp;

namespace {

struct consuming : session_fixture {
  consuming() {
    log_in();
    consume_from(1, 7, "q");
    sent();
    feed(broker::consuming("la-7"));
    raised();
  }

  void settle(std::uint32_t generation, std::vector<settlement> xs) {
    talk.execute(settle_command{generation, std::move(xs)}, now);
  }

  /// The properties of a message with the given headers, which are encoded.
  static std::string with_headers(const std::string& headers) {
    return broker::number(std::uint16_t{AMQP_BASIC_HEADERS_FLAG})
           + broker::number(static_cast<std::uint32_t>(headers.size())) + headers;
  }

  static std::string text_field(const std::string& key, const std::string& value) {
    return broker::number(static_cast<std::uint8_t>(key.size())) + key + "S"
           + broker::number(static_cast<std::uint32_t>(value.size())) + value;
  }

  properties received(const std::string& encoded) {
    feed(broker::deliver("la-7", 1) + broker::header(2, 0, encoded));
    if (events->deliveries.empty())
      CAF_FAIL("nothing was delivered");
    return events->deliveries.back().properties;
  }
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(delivery_tests, consuming)

CAF_TEST(the deliveries of one feed are one batch) {
  feed(broker::message("la-7", 1, "first"));
  CAF_CHECK(raised() == lines{"delivered 1 in life 1"});
  // An empty body has no frame, so the message ends with its header.
  feed(broker::deliver("la-7", 2) + broker::header(2, 0) + broker::message("la-7", 3, "third"));
  CAF_CHECK(raised() == lines{"delivered 2 in life 1"});
}

// Each group of consumers has a channel.
CAF_TEST(busy channels do not break up the batches of one another) {
  amqp::consumer other;
  other.id = 8;
  other.queue = "p";
  other.group = 1;
  request(2, start_consumer{other});
  CAF_REQUIRE(sent() == lines({"7:20.10", "7:60.10", "7:60.20"}));
  feed(broker::consuming("la-8", 7));
  raised();
  std::string bytes;
  for (std::uint64_t tag = 1; tag <= 5; ++tag)
    bytes += broker::message("la-7", tag, "x") + broker::message("la-8", tag, "y", 7);
  feed(bytes);
  CAF_CHECK(raised() == lines({"delivered 5 in life 1", "delivered 5 in life 2"}));
  CAF_REQUIRE_EQUAL(events->deliveries.size(), 10u);
  CAF_CHECK_EQUAL(events->deliveries[4].tag, 5u);
  CAF_CHECK_EQUAL(events->deliveries[5].consumer, 8u);
  CAF_CHECK_EQUAL(events->deliveries[5].tag, 1u);
}

CAF_TEST(a message keeps what it came with) {
  feed(broker::message("la-7", 5, "body"));
  auto& x = events->deliveries.front();
  CAF_CHECK_EQUAL(x.consumer, 7u);
  CAF_CHECK_EQUAL(x.tag, 5u);
  CAF_CHECK_EQUAL(x.exchange, "Trade");
  CAF_CHECK_EQUAL(x.routing_key, "binance.ETH/USDT");
  CAF_CHECK_EQUAL(x.body, "body");
}

CAF_TEST(a message arrives in pieces) {
  auto bytes = broker::deliver("la-7", 1) + broker::header(2, 6) + broker::body(2, "abc")
               + broker::body(2, "def");
  for (auto byte : bytes)
    feed({&byte, 1});
  CAF_CHECK(raised() == lines{"delivered 1 in life 1"});
  CAF_CHECK(events->deliveries.front().body == "abcdef");
}

CAF_TEST(large batches are cut) {
  std::string bytes;
  for (auto tag = 1; tag <= 150; ++tag)
    bytes += broker::message("la-7", static_cast<std::uint64_t>(tag), "x");
  feed(bytes);
  CAF_CHECK(
      raised()
      == lines({"delivered 64 in life 1", "delivered 64 in life 1", "delivered 22 in life 1"}));
}

CAF_TEST(a position is taken from its header) {
  auto x = received(with_headers(text_field("x-la", "123:45") + text_field("k", "v")));
  CAF_CHECK(x.position == stream_position({123, 45}));
  CAF_CHECK(x.headers == field_table({{"k", std::string{"v"}}}));
}

CAF_TEST(messages alike share their other properties) {
  const auto with_type = [](const std::string& type) {
    return broker::number(std::uint16_t{AMQP_BASIC_CONTENT_TYPE_FLAG})
           + broker::number(static_cast<std::uint8_t>(type.size())) + type;
  };
  const auto first = received(with_type("application/json")).others;
  const auto other = received(with_type("text/plain")).others;
  CAF_REQUIRE(first && other);
  CAF_CHECK_EQUAL(first->content_type, "application/json");
  CAF_CHECK_EQUAL(other->content_type, "text/plain");
  CAF_CHECK(received(with_type("application/json")).others == first);
  CAF_CHECK(received(with_type("text/plain")).others == other);
  CAF_CHECK(!received(with_type("")).others);
}

CAF_TEST(a malformed position stays a header) {
  for (auto text : {"", "1", "1:", ":1", "1:2x", "x1:2", "-1:2", "99999999999999999999:1"}) {
    auto x = received(with_headers(text_field("x-la", text)));
    CAF_CHECK(!x.position);
    CAF_CHECK(x.headers == field_table({{"x-la", std::string{text}}}));
  }
}

// Headers of other clients hold every type; what none of ours is stays as it came.
CAF_TEST(headers of all types) {
  auto nested = "\x01nF" + broker::number(std::uint32_t{4}) + std::string{"\x01xt\x01", 4};
  auto list = "\x01"
              "aA"
              + broker::number(std::uint32_t{2}) + std::string{"t\x01", 2};
  auto x = received(with_headers(nested + list + std::string{"\x01tt\x01", 4}
                                 + std::string{"\x01"
                                               "bb\xFE",
                                               4}
                                 + "\x01iI" + broker::number(std::uint32_t{0xFFFFFFFF}) + "\x01ll"
                                 + broker::number(std::uint64_t{7})
                                 + "\x01"
                                   "dd"
                                 + broker::number(0x3FF8000000000000ull) + "\x01vV" + "\x01TT"
                                 + broker::number(std::uint64_t{9})));
  CAF_CHECK(x.headers
            == field_table({{"n", opaque_value{'F', std::string{"\0\0\0\4\1xt\1", 8}}},
                            {"a", opaque_value{'A', std::string{"\0\0\0\2t\1", 6}}},
                            {"t", true},
                            {"b", std::int64_t{-2}},
                            {"i", std::int64_t{-1}},
                            {"l", std::int64_t{7}},
                            {"d", 1.5},
                            {"v", opaque_value{}},
                            {"T", opaque_value{'T', std::string{"\0\0\0\0\0\0\0\x09", 8}}}}));
}

CAF_TEST(nested headers are read on demand) {
  auto death = text_field("queue", "q") + text_field("reason", "expired");
  auto table = "F" + broker::number(static_cast<std::uint32_t>(death.size())) + death;
  auto x = received(with_headers(
      "\x07x-deathA" + broker::number(static_cast<std::uint32_t>(table.size())) + table));
  CAF_REQUIRE_EQUAL(x.headers.size(), 1u);
  auto list = as_list(std::get<opaque_value>(x.headers[0].second));
  CAF_REQUIRE(list && list->size() == 1);
  auto fields = as_table(std::get<opaque_value>(list->front()));
  CAF_CHECK(fields
            == (field_table{{"queue", std::string{"q"}}, {"reason", std::string{"expired"}}}));
  CAF_CHECK(!as_table(std::get<opaque_value>(x.headers[0].second)));
  CAF_CHECK(!as_list(opaque_value{'A', "cut"}));
}

// Whoever may publish could otherwise exhaust the stack of every consumer.
CAF_TEST(deeply nested headers do no harm) {
  std::string list;
  for (auto depth = 25'000u; depth-- > 0;)
    list += "A" + broker::number(std::uint32_t{depth * 5});
  auto x = received(with_headers("\x01k" + list));
  CAF_REQUIRE_EQUAL(x.headers.size(), 1u);
  publication copy{.id = 1, .exchange = "e", .properties = std::move(x)};
  CAF_CHECK(!check(copy));
}

CAF_TEST(headers may fill a frame) {
  std::string many;
  while (many.size() < 60'000)
    many += text_field("k" + std::to_string(many.size()), "v");
  auto x = received(with_headers(many + text_field("large", std::string(60'000, 'x'))));
  CAF_CHECK(x.headers.size() > 4'000);
  CAF_CHECK(x.headers.back()
            == (std::pair{std::string{"large"}, field_value{std::string(60'000, 'x')}}));
}

CAF_TEST(properties that make no sense are passed over) {
  auto headers = with_headers(text_field("k", "v"));
  headers[5] = '\x7f';
  for (auto& bad : {headers, std::string{"\0\1", 2}, std::string{"\x80", 1}})
    feed(broker::deliver("la-7", 1) + broker::header(2, 4, bad) + broker::body(2, "body"));
  feed(broker::message("la-7", 4, "good"));
  CAF_REQUIRE_EQUAL(events->deliveries.size(), 4u);
  for (std::size_t i = 0; i < 3; ++i) {
    auto& x = events->deliveries[i];
    CAF_REQUIRE(x.unreadable);
    CAF_CHECK_EQUAL(x.unreadable->text,
                    "a message of exchange 'Trade' with routing key 'binance.ETH/USDT' is passed "
                    "over: its properties make no sense");
    CAF_CHECK(x.body.empty());
    CAF_CHECK(x.properties == properties{});
  }
  CAF_CHECK(!events->deliveries[3].unreadable);
  CAF_CHECK_EQUAL(events->deliveries[3].body, "good");
}

// RabbitMQ adds headers of its own, as x-death, to a message whose own just fit.
CAF_TEST(headers beyond a frame are passed over in any pieces) {
  const auto large =
      broker::deliver("la-7", 1)
      + broker::header(2, 3, with_headers(text_field("k", std::string(200'000, 'x'))))
      + broker::body(2, "abc") + broker::message("la-7", 2, "good");
  feed(large);
  for (std::size_t at = 0; at < large.size(); at += 37)
    feed(std::string_view{large}.substr(at, 37));
  CAF_REQUIRE_EQUAL(events->deliveries.size(), 4u);
  for (std::size_t i : {0, 2}) {
    CAF_REQUIRE(events->deliveries[i].unreadable);
    CAF_CHECK_EQUAL(events->deliveries[i].unreadable->text,
                    "a message of exchange 'Trade' with routing key 'binance.ETH/USDT' is passed "
                    "over: its headers have 200025 bytes, and a frame carries 131064");
    CAF_CHECK_EQUAL(events->deliveries[i].tag, 1u);
    CAF_CHECK_EQUAL(events->deliveries[i + 1].body, "good");
  }
}

CAF_TEST(headers beyond a frame end where they say) {
  auto large = broker::header(2, 0, with_headers(text_field("k", std::string(200'000, 'x'))));
  large.back() = 'x';
  feed(broker::deliver("la-7", 1) + large);
  CAF_CHECK(events->down_code == ec::protocol_error);
}

// basic.reject counts towards a delivery limit, basic.nack does not.
CAF_TEST(settlements become acks and rejects and nacks) {
  settle(1, {{1, settlement::verdict::ack, true},
             {2, settlement::verdict::requeue, false},
             {3, settlement::verdict::release, false},
             {4, settlement::verdict::reject, false}});
  CAF_CHECK(sent() == lines({"2:60.80", "2:60.90", "2:60.120", "2:60.120"}));
}

CAF_TEST(settlements of a former life are dropped) {
  feed(broker::message("la-7", 1, "x") + broker::close_channel(2, 406, "PRECONDITION_FAILED"));
  CAF_CHECK(raised()
            == lines({"delivered 1 in life 1",
                      "closed deliveries of 7 precondition_failed: PRECONDITION_FAILED (406)"}));
  consume_from(2, 7, "q");
  sent();
  settle(1, {{1, settlement::verdict::ack, false}});
  CAF_CHECK(sent().empty());
  feed(broker::channel_opened(2) + broker::consuming("la-7") + broker::message("la-7", 1, "x"));
  CAF_CHECK(raised() == lines({"replied 2", "delivered 1 in life 2"}));
  settle(2, {{1, settlement::verdict::ack, false}});
  CAF_CHECK(sent() == lines{"2:60.80"});
}

// RabbitMQ sends what was on its way inside it. To acknowledge that on the channel's next
// life, or before it, would cost the connection.
CAF_TEST(deliveries behind the end of their channel are dropped) {
  feed(broker::close_channel(2, 406, "PRECONDITION_FAILED") + broker::message("la-7", 1, "late"));
  CAF_CHECK(raised()
            == lines({"closed deliveries of 7 precondition_failed: PRECONDITION_FAILED (406)"}));
  consume_from(2, 7, "q");
  sent();
  feed(broker::message("la-7", 2, "later") + broker::cancel("la-7"));
  CAF_CHECK(raised().empty());
  feed(broker::channel_opened(2) + broker::consuming("la-7") + broker::message("la-7", 1, "x"));
  CAF_CHECK(raised() == lines({"replied 2", "delivered 1 in life 2"}));
}

CAF_TEST(a message that was half sent dies with its channel) {
  feed(broker::deliver("la-7", 1) + broker::header(2, 10) + broker::body(2, "half")
       + broker::close_channel(2, 541, "INTERNAL_ERROR"));
  consume_from(2, 7, "q");
  feed(broker::channel_opened(2) + broker::consuming("la-7") + broker::message("la-7", 1, "whole"));
  CAF_REQUIRE_EQUAL(events->deliveries.size(), 1u);
  CAF_CHECK(events->deliveries.front().body == "whole");
}

CAF_TEST(a giant message is passed over without a place in memory) {
  constexpr auto size = 128ull * 1024 * 1024 + 1;
  feed(broker::deliver("la-7", 1) + broker::header(2, size));
  const std::string part(131'000, 'x');
  for (auto left = size; left > 0; left -= std::min<std::uint64_t>(left, part.size()))
    feed(broker::body(2, std::string_view{part}.substr(0, std::min<std::uint64_t>(left, 131'000))));
  feed(broker::message("la-7", 2, "good"));
  CAF_REQUIRE_EQUAL(events->deliveries.size(), 2u);
  CAF_REQUIRE(events->deliveries[0].unreadable);
  CAF_CHECK_EQUAL(events->deliveries[0].unreadable->text,
                  "a message of exchange 'Trade' with routing key 'binance.ETH/USDT' is passed "
                  "over: it has 134217729 bytes, and we take 134217728");
  CAF_CHECK(events->deliveries[0].body.empty());
  CAF_CHECK_EQUAL(events->deliveries[1].body, "good");
}

CAF_TEST(a body longer than announced) {
  feed(broker::deliver("la-7", 1) + broker::header(2, 2) + broker::body(2, "abc"));
  CAF_CHECK(events->down_code == ec::protocol_error);
}

CAF_TEST(a message for a consumer that we never started) {
  feed(broker::deliver("somebody", 1));
  CAF_CHECK(events->down_code == ec::protocol_error);
}

CAF_TEST_FIXTURE_SCOPE_END()
