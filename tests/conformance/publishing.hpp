#pragma once

#include <algorithm>

#include "caf/test/unit_test.hpp"
#include "conformance/client.hpp"

using namespace actors;
using namespace actors::amqp;
using namespace actors::amqp::conformance;

namespace {

std::size_t place(const std::vector<std::string>& log, const std::string& what) {
  return static_cast<std::size_t>(std::find(log.begin(), log.end(), what) - log.begin());
}

} // namespace

CONFORMANCE_TEST(properties_arrive_as_they_were_sent) {
  client x{broker};
  auto q = x.queue("q");
  x.consume({1, q, 0, true});
  auto sent = to_queue(q, "body");
  sent.properties.message_id = "id-1";
  sent.properties.timestamp = 1'558'949'307;
  sent.properties.persistent = true;
  sent.properties.position = stream_position{1'558'949'307'370'000, 42};
  sent.properties.headers = {{"truth", true},
                             {"count", std::int64_t{-5'000'000'000}},
                             {"share", 0.25},
                             {"text", std::string{"Gr\u00fc\u00dfe"}}};
  x.publish(sent);
  auto got = x.take();
  CAF_CHECK(sorted(got.properties) == sorted(sent.properties));
  CAF_CHECK(!got.redelivered);
}

CONFORMANCE_TEST(a_message_without_properties_has_none) {
  client x{broker};
  auto q = x.queue("q");
  x.consume({1, q, 0, true});
  x.fill(q, {"plain"});
  CAF_CHECK(x.take().properties == properties{});
}

CONFORMANCE_TEST(bodies_of_any_size_and_content_arrive) {
  client x{broker};
  auto q = x.queue("q");
  x.consume({1, q, 0, true});
  std::string bytes;
  for (auto i = 0; i < 700'000; ++i)
    bytes += static_cast<char>(i * 31 + i / 251);
  const std::vector<std::string> sent{"", std::string(3, '\0'), bytes, "last"};
  x.fill(q, sent);
  CAF_CHECK(bodies(x.take(sent.size())) == sent);
}

CONFORMANCE_TEST(every_publication_is_confirmed) {
  client x{broker};
  auto q = x.queue("q");
  std::vector<std::uint64_t> ids;
  for (auto i = 0; i < 500; ++i)
    ids.push_back(x.post(to_queue(q, "x")));
  for (auto id : ids)
    CAF_REQUIRE(x.confirmed(id));
  x.consume({1, q, 0, true});
  CAF_CHECK_EQUAL(x.take(500).size(), 500u);
}

CONFORMANCE_TEST(a_message_that_no_queue_takes_is_confirmed) {
  client x{broker};
  x.publish("amq.topic", broker.name("nobody"), "lost");
  x.fill(broker.name("no queue"), {"lost"});
}

CONFORMANCE_TEST(a_mandatory_message_that_no_queue_takes_comes_back_before_its_confirmation) {
  client x{broker};
  publication lost;
  lost.exchange = "amq.topic";
  lost.routing_key = broker.name("nobody");
  lost.properties.message_id = "m-1";
  lost.body = std::make_shared<const std::string>("x");
  lost.mandatory = true;
  auto id = x.post(lost);
  CAF_CHECK(x.confirmed(id));
  auto back = x.returned();
  CAF_CHECK_EQUAL(to_string(back.reason.code), "no_route");
  CAF_CHECK_EQUAL(back.exchange, lost.exchange);
  CAF_CHECK_EQUAL(back.routing_key, lost.routing_key);
  CAF_CHECK_EQUAL(back.properties.message_id, "m-1");
  auto log = x.log();
  CAF_CHECK_LESS(place(log, "returned m-1"), place(log, "confirmed " + std::to_string(id)));
}

CONFORMANCE_TEST(a_mandatory_message_that_a_queue_takes_does_not_come_back) {
  client x{broker};
  auto q = x.queue("q");
  auto sent = to_queue(q, "x");
  sent.properties.message_id = "m-1";
  sent.mandatory = true;
  x.publish(sent);
  auto log = x.log();
  CAF_CHECK_EQUAL(place(log, "returned m-1"), log.size());
}

CONFORMANCE_TEST(a_missing_exchange_closes_the_publishing_channel_alone) {
  client x{broker};
  auto q = x.queue("q");
  x.consume({1, q, 0, true});
  publication lost;
  lost.exchange = broker.name("missing");
  lost.body = std::make_shared<const std::string>("x");
  x.post(lost);
  auto closed = x.channel_closed();
  CAF_CHECK(closed.which == channel::publishing);
  CAF_CHECK_EQUAL(to_string(closed.reason.code), "not_found");
  CAF_CHECK(closed.reason.text.find(lost.exchange) != std::string::npos);
  // The channel is usable at once, and the consumer has not noticed.
  x.fill(q, {"after"});
  auto got = x.take();
  CAF_CHECK_EQUAL(got.body, "after");
  CAF_CHECK_EQUAL(got.generation, 1u);
}

// Its sender has not learned yet that the channel is closed, and will send it
// again: it must not come twice, nor before what was to be sent before it.
CONFORMANCE_TEST(a_message_for_a_former_life_of_the_channel_is_dropped) {
  client x{broker};
  auto q = x.queue("q");
  publication lost;
  lost.exchange = broker.name("missing");
  lost.body = std::make_shared<const std::string>("x");
  for (std::uint32_t life = 1; life <= 2; ++life) {
    x.post(lost, life);
    x.post(to_queue(q, "behind it"), life);
    CAF_CHECK(x.channel_closed().which == channel::publishing);
    x.post(to_queue(q, "late"), life);
    CAF_CHECK(x.confirmed(x.post(to_queue(q, "again"), life + 1)));
  }
  x.consume({1, q, 0, true});
  CAF_CHECK(bodies(x.take_all()) == (std::vector<std::string>{"again", "again"}));
}

CONFORMANCE_TEST(a_deleted_exchange_is_missing_for_publishers) {
  client x{broker};
  auto e = x.exchange("e");
  auto q = x.queue("q");
  x.bind(e, q, "k");
  x.publish(e, "k", "there");
  CAF_CHECK(!x.call(unbind_queue{{e, q, "k"}}));
  publication late;
  late.exchange = e;
  late.routing_key = "k";
  late.body = std::make_shared<const std::string>("gone");
  x.post(late);
  CAF_CHECK_EQUAL(to_string(x.channel_closed().reason.code), "not_found");
}
