#pragma once

#include <string>
#include <vector>

#include "amqp/wire_rules.hpp"
#include "caf/test/unit_test.hpp"
#include "conformance/client.hpp"

using namespace actors;
using namespace actors::amqp;
using namespace actors::amqp::conformance;

// What cannot be said is refused before it is sent, with the same words by each transport,
// and costs nobody else anything.

namespace {

/// Names that RabbitMQ answers with the end of a connection, or takes for others.
std::vector<std::string> bad_names() {
  return {"caf\xE9 x", "a\nb", "a\rb", std::string{"a\0b", 3}, std::string(256, 'x')};
}

publication bad_publication(std::size_t which, const std::string& queue) {
  auto x = to_queue(queue, "bad");
  switch (which) {
  case 0:
    x.exchange = "caf\xE9 x";
    break;
  case 1:
    x.exchange = "a\nb";
    break;
  case 2:
    x.routing_key = "caf\xE9 x";
    break;
  case 3:
    x.routing_key = std::string(256, 'x');
    break;
  case 4:
    x.properties.message_id = std::string(256, 'x');
    break;
  case 5:
    x.properties.headers = {{std::string(256, 'x'), true}};
    break;
  case 6:
    x.properties.headers = {{"CC", std::string{"k"}}};
    break;
  default:
    x.properties.expiration = std::chrono::milliseconds{-1};
    break;
  }
  return x;
}

constexpr std::size_t bad_publications = 8;

} // namespace

CONFORMANCE_TEST(requests_that_cannot_be_made_are_refused_alike) {
  client x{broker};
  auto q = x.queue("q");
  x.consume({1, q, 0, true});
  for (auto& name : bad_names()) {
    const operation bad[] = {declare_exchange{{name}},    declare_queue{{name}},
                             declare_queue{{name}, true}, delete_queue{name},
                             bind_queue{{name, q, "k"}},  start_consumer{{2, name}}};
    for (auto& what : bad) {
      auto error = x.call(what);
      CAF_CHECK_EQUAL(to_string(error.code), "invalid_argument");
      CAF_CHECK_EQUAL(error.text, check(what).text);
    }
  }
  for (auto& offset : std::vector<field_value>{std::string{"yesterday"}, std::string{""},
                                               std::string{"-1h"}, 1.5, true, std::int64_t{-1}}) {
    consumer reader{2, q, 10};
    reader.arguments = {{"x-stream-offset", offset}};
    CAF_CHECK_EQUAL(to_string(x.call(start_consumer{reader}).code), "invalid_argument");
  }
  x.fill(q, {"still here"});
  CAF_CHECK_EQUAL(x.take().body, "still here");
  CAF_CHECK_EQUAL(x.channels_closed(), 0u);
}

CONFORMANCE_TEST(publications_that_cannot_be_made_are_refused_alike) {
  client x{broker};
  auto q = x.queue("q");
  for (std::size_t i = 0; i < bad_publications; ++i) {
    auto bad = bad_publication(i, q);
    auto error = x.refused(x.post(bad));
    CAF_CHECK_EQUAL(to_string(error.code), "invalid_argument");
    CAF_CHECK_EQUAL(error.text, check(bad).text);
    x.fill(q, {"good"});
  }
  CAF_CHECK_EQUAL(x.messages(q), bad_publications);
  CAF_CHECK_EQUAL(x.channels_closed(), 0u);
}
