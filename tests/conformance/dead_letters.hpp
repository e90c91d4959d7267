#pragma once

#include <algorithm>

#include "caf/test/unit_test.hpp"
#include "conformance/client.hpp"

using namespace actors;
using namespace actors::amqp;
using namespace actors::amqp::conformance;
using namespace std::chrono_literals;

// What queues give up goes to their dead-letter exchange.

namespace {

using texts = std::vector<std::string>;
using number = std::int64_t;
using verdict = settlement::verdict;

/// A text header, or "none".
std::string header(const received& x, const std::string& name) {
  for (auto& [key, value] : x.properties.headers)
    if (key == name)
      if (auto* text = std::get_if<std::string>(&value))
        return *text;
  return "none";
}

/// Arguments for a queue whose dead letters go straight to another one.
field_table dead_letters_to(const std::string& queue, field_table more = {}) {
  more.emplace_back("x-dead-letter-exchange", "");
  more.emplace_back("x-dead-letter-routing-key", queue);
  return more;
}

} // namespace

CONFORMANCE_TEST(a_rejected_message_goes_to_the_dead_letter_exchange) {
  client x{broker};
  auto e = x.exchange("dead");
  auto dead = x.queue("dead");
  x.bind(e, dead, "#");
  auto q = x.queue("q", {{"x-dead-letter-exchange", e}});
  x.bind("amq.topic", q, "a.b");
  x.consume({1, q, 0});
  x.consume({2, dead, 0, true});
  auto sent = to_queue("a.b", "body");
  sent.exchange = "amq.topic";
  sent.properties.message_id = "m-1";
  sent.properties.timestamp = 1'558'949'307;
  sent.properties.persistent = true;
  sent.properties.position = stream_position{77, 42};
  sent.properties.headers = {{"mine", number{5}}};
  x.publish(sent);
  x.settle(x.take(), verdict::reject);
  auto got = x.take();
  CAF_CHECK_EQUAL(got.consumer, 2u);
  CAF_CHECK_EQUAL(got.body, "body");
  CAF_CHECK_EQUAL(got.exchange, e);
  CAF_CHECK_EQUAL(got.routing_key, "a.b");
  CAF_CHECK(!got.redelivered);
  CAF_CHECK_EQUAL(header(got, "x-first-death-queue"), q);
  CAF_CHECK_EQUAL(header(got, "x-first-death-reason"), "rejected");
  CAF_CHECK_EQUAL(header(got, "x-first-death-exchange"), "amq.topic");
  // The rest is as it was sent.
  std::erase_if(got.properties.headers,
                [](auto& field) { return field.first.find("-death") != std::string::npos; });
  CAF_CHECK(sorted(got.properties) == sorted(sent.properties));
}

CONFORMANCE_TEST(dead_letters_get_the_routing_key_of_their_queue) {
  client x{broker};
  auto dead = x.queue("dead");
  auto q = x.queue("q", dead_letters_to(dead));
  x.consume({1, q, 0});
  x.consume({2, dead, 0, true});
  x.fill(q, {"1", "2", "3"});
  auto got = x.take(3);
  x.settle(got[1], verdict::reject, true);
  x.settle(got[2], verdict::reject);
  auto lost = x.take(3);
  CAF_CHECK(bodies(lost) == (texts{"1", "2", "3"}));
  CAF_CHECK_EQUAL(lost[0].exchange, "");
  CAF_CHECK_EQUAL(lost[0].routing_key, dead);
}

CONFORMANCE_TEST(an_expired_message_goes_to_the_dead_letter_exchange) {
  client x{broker};
  auto dead = x.queue("dead");
  x.consume({1, dead, 0, true});
  auto q = x.queue("q", dead_letters_to(dead, {{"x-message-ttl", number{50}}}));
  x.fill(q, {"1", "2"});
  broker.pass(50ms);
  auto got = x.take(2);
  CAF_CHECK(bodies(got) == (texts{"1", "2"}));
  CAF_CHECK_EQUAL(header(got[0], "x-first-death-reason"), "expired");
  CAF_CHECK_EQUAL(header(got[0], "x-first-death-queue"), q);
}

CONFORMANCE_TEST(a_message_without_room_goes_to_the_dead_letter_exchange) {
  client x{broker};
  auto dead = x.queue("dead");
  x.consume({1, dead, 0, true});
  auto q = x.queue("q", dead_letters_to(dead, {{"x-max-length", number{1}}}));
  x.fill(q, {"1", "2", "3"});
  auto got = x.take(2);
  CAF_CHECK(bodies(got) == (texts{"1", "2"}));
  CAF_CHECK_EQUAL(header(got[0], "x-first-death-reason"), "maxlen");
}

CONFORMANCE_TEST(a_refused_publication_goes_to_the_dead_letter_exchange_if_asked) {
  client x{broker};
  auto dead = x.queue("dead");
  x.consume({1, dead, 0, true});
  for (auto* overflow : {"reject-publish", "reject-publish-dlx"}) {
    auto q = x.queue(
        overflow, dead_letters_to(dead, {{"x-max-length", number{1}}, {"x-overflow", overflow}}));
    CAF_CHECK(x.confirmed(x.post(to_queue(q, "1"))));
    CAF_CHECK(!x.confirmed(x.post(to_queue(q, overflow))));
    CAF_CHECK_EQUAL(x.messages(q), 1u);
  }
  auto got = x.take();
  CAF_CHECK_EQUAL(got.body, "reject-publish-dlx");
  CAF_CHECK_EQUAL(header(got, "x-first-death-reason"), "maxlen");
  CAF_CHECK(x.take_all().empty());
}

CONFORMANCE_TEST(a_dead_letter_that_nobody_takes_is_gone) {
  client x{broker};
  auto q = x.queue("q", {{"x-dead-letter-exchange", broker.name("missing")}});
  x.consume({1, q, 1});
  x.fill(q, {"1", "2"});
  x.settle(x.take(), verdict::reject);
  CAF_CHECK_EQUAL(x.take().body, "2");
  CAF_CHECK_EQUAL(x.channels_closed(), 0u);
}

// How a failed message is tried again after a while: it waits in a queue that
// nobody consumes, until its time there is over.
CONFORMANCE_TEST(a_rejected_message_comes_back_from_a_queue_where_it_waits) {
  client x{broker};
  auto q = broker.name("q");
  auto wait = x.queue("wait", dead_letters_to(q, {{"x-message-ttl", number{50}}}));
  x.queue("q", dead_letters_to(wait));
  x.consume({1, q, 1});
  x.fill(q, {"1"});
  auto got = x.take();
  for (auto i = 0; i < 3; ++i) {
    x.settle(got, verdict::reject);
    CAF_CHECK(eventually([&] {
      broker.pass(25ms);
      return x.messages(wait) == 0;
    }));
    got = x.take();
    CAF_CHECK_EQUAL(got.body, "1");
    CAF_CHECK_EQUAL(got.routing_key, q);
    CAF_CHECK(!got.redelivered);
    CAF_CHECK_EQUAL(header(got, "x-first-death-queue"), q);
    CAF_CHECK_EQUAL(header(got, "x-first-death-reason"), "rejected");
  }
}

CONFORMANCE_TEST(a_rejected_message_may_come_back_at_once) {
  client x{broker};
  auto q = x.queue("q", {{"x-dead-letter-exchange", ""}});
  x.consume({1, q, 1});
  x.fill(q, {"1"});
  for (auto i = 0; i < 3; ++i)
    x.settle(x.take(), verdict::reject);
  CAF_CHECK_EQUAL(x.take().body, "1");
}

CONFORMANCE_TEST(a_message_that_goes_in_circles_by_itself_is_dropped) {
  client x{broker};
  auto alone = x.queue("alone", {{"x-message-ttl", number{20}}, {"x-dead-letter-exchange", ""}});
  auto second = broker.name("second");
  auto first = x.queue("first", dead_letters_to(second, {{"x-message-ttl", number{20}}}));
  x.queue("second", dead_letters_to(first, {{"x-message-ttl", number{20}}}));
  x.fill(alone, {"1"});
  x.fill(first, {"2"});
  // Between two queues there is a moment where a message is in neither.
  auto empty_looks = 0;
  CAF_CHECK(eventually([&] {
    broker.pass(10ms);
    auto empty = x.messages(alone) + x.messages(first) + x.messages(second) == 0;
    empty_looks = empty ? empty_looks + 1 : 0;
    return empty_looks == 20;
  }));
  x.consume({1, alone, 0, true});
  x.consume({2, first, 0, true});
  x.consume({3, second, 0, true});
  broker.pass(100ms);
  CAF_CHECK(x.take_all().empty());
}

CONFORMANCE_TEST(the_first_death_is_the_first_of_several) {
  client x{broker};
  auto last = x.queue("last");
  auto middle = x.queue("middle", dead_letters_to(last, {{"x-message-ttl", number{20}}}));
  auto first = x.queue("first", dead_letters_to(middle, {{"x-max-length", number{0}}}));
  x.consume({1, last, 0, true});
  auto sent = to_queue(first, "1");
  sent.properties.headers = {{"x-first-death-queue", "a forgery"}};
  x.publish(sent);
  CAF_CHECK(eventually([&] {
    broker.pass(10ms);
    return x.messages(middle) == 0;
  }));
  broker.pass(20ms);
  auto got = x.take();
  CAF_CHECK_EQUAL(header(got, "x-first-death-queue"), first);
  CAF_CHECK_EQUAL(header(got, "x-first-death-reason"), "maxlen");
}
