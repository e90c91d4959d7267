#define CAF_SUITE amqp.wire_rules

#include "amqp/wire_rules.hpp"

#include <string>
#include <vector>

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace actors::amqp;

namespace {

const std::string too_long(256, 'x');
/// "café" in Latin-1, with more behind it.
const std::string latin = "caf\xE9 x";

failure declared(const std::string& exchange) {
  return check(declare_exchange{{exchange}});
}

failure read_from(field_value offset, std::uint16_t prefetch_count = 10, bool no_ack = false) {
  consumer x{1, "q", prefetch_count, no_ack};
  x.arguments = {{"x-stream-offset", std::move(offset)}};
  return check(start_consumer{x});
}

failure published(properties with) {
  return check(publication{.exchange = "e", .routing_key = "k", .properties = std::move(with)});
}

failure with_header(const std::string& key, field_value value) {
  properties x;
  x.headers = {{key, std::move(value)}};
  return published(x);
}

bool is_shown(const failure& x) {
  return x.code == ec::invalid_argument && is_utf8(x.text)
         && x.text.find_first_of("\r\n\0\t") == std::string::npos && x.text.size() < 600;
}

} // namespace

CAF_TEST(names that RabbitMQ takes are no problem) {
  for (auto& name : {std::string{}, std::string{"Trade"}, std::string{"caf\xC3\xA9"},
                     std::string{"\xF0\x9F\x90\x87"}, too_long.substr(1)}) {
    CAF_CHECK(!declared(name));
    CAF_CHECK(!check(bind_queue{{name, name, name}}));
    CAF_CHECK(!check(publication{.exchange = name, .routing_key = name}));
  }
}

CAF_TEST(names that RabbitMQ cannot take are refused and shown) {
  for (auto& name :
       {too_long, latin, std::string{"\xC3"}, std::string{"\xED\xA0\x80"}, std::string{"\xC0\x80"},
        std::string{"\xF5\x80\x80\x80"}, std::string{"a\nb"}, std::string{"eight bytes and\r"},
        std::string{"a\0b", 3}, std::string{"a\x7F"}}) {
    consumer reader{1, name};
    for (auto& x : {declared(name), check(declare_queue{{name}}), check(delete_queue{name}),
                    check(bind_queue{{name, "q", "k"}}), check(bind_queue{{"e", name, "k"}}),
                    check(unbind_queue{{"e", name, "k"}}), check(start_consumer{reader}),
                    check(publication{.exchange = name})})
      CAF_CHECK(is_shown(x));
  }
}

CAF_TEST(routing keys are short UTF_8 of any characters) {
  for (auto& key : {too_long, latin}) {
    CAF_CHECK(is_shown(check(bind_queue{{"e", "q", key}})));
    CAF_CHECK(is_shown(check(publication{.exchange = "e", .routing_key = key})));
  }
  CAF_CHECK(!check(publication{.exchange = "e", .routing_key = "a\nb"}));
}

CAF_TEST(what is no UTF_8 is found at every place) {
  for (std::size_t before = 0; before < 20; ++before)
    for (std::size_t behind = 0; behind < 20; ++behind) {
      auto text = [&](std::string_view middle) {
        return std::string(before, 'x') + std::string{middle} + std::string(behind, 'x');
      };
      for (auto good : {"", "\x7f", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"})
        CAF_REQUIRE(is_utf8(text(good)));
      for (auto bad : {"\xe9", "\xe2\x82", "\x80", "\xc0\x80", "\xed\xa0\x80", "\xff"})
        CAF_REQUIRE(!is_utf8(text(bad)));
    }
}

CAF_TEST(arguments are UTF_8) {
  for (auto& x : {field_table{{"k", latin}}, field_table{{latin, true}}}) {
    CAF_CHECK(is_shown(check(declare_queue{{"q", false, false, false, x}})));
    CAF_CHECK(is_shown(check(declare_exchange{{"e", exchange_type::topic, false, false, x}})));
  }
}

CAF_TEST(a refusal names the entity and what to do) {
  CAF_CHECK_EQUAL(declared("caf\xE9\n").text,
                  "declare exchange 'caf\\xe9\\x0a' (topic): the exchange's name is not UTF-8: "
                  "write it in UTF-8");
  CAF_CHECK_EQUAL(check(publication{.exchange = "e", .routing_key = too_long}).text,
                  "publish to exchange 'e' with routing key '" + std::string(60, 'x')
                      + "...': the routing key has 256 bytes, and AMQP carries 255: choose a "
                        "shorter one");
  CAF_CHECK_EQUAL(read_from(std::string{"yesterday"}).text,
                  "start consumer 1 on queue 'q': 'yesterday' is no place in a stream: "
                  "x-stream-offset is \"first\", \"last\", \"next\", an offset from 0 on or an "
                  "age as \"1h\"");
}

CAF_TEST(a place in a stream has a meaning or is refused) {
  for (auto& x : std::vector<field_value>{std::string{"first"}, std::string{"last"},
                                          std::string{"next"}, std::int64_t{0}, std::int64_t{7},
                                          std::string{"1h"}, std::string{"90Y"}})
    CAF_CHECK(!read_from(x));
  for (auto& x : std::vector<field_value>{
           std::string{"yesterday"}, std::string{}, std::string{"-1h"}, std::string{"h"},
           std::string{"1"}, std::string{"1H"}, std::string{"1h\n"}, std::string{"9999999999h"},
           std::int64_t{-1}, 1.5, true, opaque_value{}})
    CAF_CHECK(is_shown(read_from(x)));
}

CAF_TEST(a stream is read with acknowledgements and a prefetch count) {
  CAF_CHECK(is_shown(read_from(std::string{"first"}, 0)));
  CAF_CHECK(is_shown(read_from(std::string{"first"}, 10, true)));
  CAF_CHECK(!check(start_consumer{{1, "q", 0, true}}));
}

CAF_TEST(properties are short) {
  CAF_CHECK(!published({.message_id = too_long.substr(1)}));
  CAF_CHECK(!published({.message_id = latin}));
  CAF_CHECK(is_shown(published({.message_id = too_long})));
  for (auto field : {&other_properties::content_type, &other_properties::content_encoding,
                     &other_properties::correlation_id, &other_properties::reply_to,
                     &other_properties::type, &other_properties::app_id}) {
    other_properties x;
    x.*field = too_long;
    properties with;
    with.others = std::make_shared<const other_properties>(x);
    CAF_CHECK(is_shown(published(with)));
  }
}

CAF_TEST(headers are fields of AMQP) {
  CAF_CHECK(is_shown(with_header(too_long, true)));
  // RabbitMQ does not look at these, and a copy carries what others have put there.
  CAF_CHECK(!with_header(latin, latin));
  CAF_CHECK(!with_header("k", std::string(1000, 'x')));
  const std::string empty_list(4, '\0');
  CAF_CHECK(!with_header("k", opaque_value{'A', empty_list}));
  CAF_CHECK(is_shown(with_header("k", opaque_value{'A', "cut"})));
  CAF_CHECK(is_shown(with_header("k", opaque_value{'?', ""})));
  CAF_CHECK(is_shown(with_header("k", opaque_value{'A', std::string{"\0\0\0\1?", 5}})));
  CAF_CHECK(is_shown(with_header("k", opaque_value{'F', std::string{"\0\0\0\1k", 5}})));
}

// RabbitMQ sends a message on by these two, and closes the channel if they are no lists.
CAF_TEST(further addressees are a list) {
  const std::string empty_list(4, '\0');
  for (auto key : {"CC", "BCC"}) {
    CAF_CHECK(is_shown(with_header(key, std::string{"k"})));
    CAF_CHECK(!with_header(key, opaque_value{'A', empty_list}));
  }
}

CAF_TEST(an expiration is a time that RabbitMQ takes) {
  for (auto time : {0ll, 1ll, 315'360'000'000ll})
    CAF_CHECK(!published({.expiration = std::chrono::milliseconds{time}}));
  for (auto time : {-1ll, 315'360'000'001ll})
    CAF_CHECK(is_shown(published({.expiration = std::chrono::milliseconds{time}})));
}

CAF_TEST(what is shown is UTF_8 without control characters) {
  CAF_CHECK_EQUAL(printable("caf\xC3\xA9"), "caf\xC3\xA9");
  CAF_CHECK_EQUAL(printable("a\nb\x7F"), "a\\x0ab\\x7f");
  CAF_CHECK_EQUAL(printable("\xC2\x85"), "\\xc2\\x85");
  CAF_CHECK_EQUAL(printable("\xE9"), "\\xe9");
  // Cut between characters.
  CAF_CHECK_EQUAL(printable(std::string(59, 'x') + "\xC3\xA9" + too_long),
                  std::string(59, 'x') + "...");
}
