#pragma once

#include <algorithm>
#include <optional>

#include "caf/test/unit_test.hpp"
#include "conformance/client.hpp"

using namespace actors;
using namespace actors::amqp;
using namespace actors::amqp::conformance;

// What is different in quorum queues: they count how often a message comes back.

namespace {

using texts = std::vector<std::string>;
using number = std::int64_t;
using verdict = settlement::verdict;

field_table quorum(field_table more = {}) {
  more.emplace_back("x-queue-type", "quorum");
  return more;
}

/// Whether what is only given back counts as a return too.
bool counts_releases(const client& x) {
  return x.version() < testing::rabbitmq_4_3;
}

/// The header `x-delivery-count`, or -1.
number returns(const received& x) {
  for (auto& [key, value] : x.properties.headers)
    if (key == "x-delivery-count")
      return std::get<number>(value);
  return -1;
}

} // namespace

CONFORMANCE_TEST(a_quorum_queue_keeps_the_order) {
  client x{broker};
  auto q = x.queue("q", quorum());
  texts sent;
  for (auto i = 0; i < 50; ++i)
    sent.push_back(std::to_string(i));
  x.fill(q, sent);
  x.consume({1, q, 10});
  texts got;
  while (got.size() < sent.size()) {
    auto next = x.take();
    CAF_CHECK(!next.redelivered);
    CAF_CHECK_EQUAL(returns(next), -1);
    got.push_back(next.body);
    x.settle(next, verdict::ack);
  }
  CAF_CHECK(got == sent);
}

CONFORMANCE_TEST(each_return_to_a_quorum_queue_is_counted) {
  client x{broker};
  auto q = x.queue("q", quorum());
  x.consume({1, q, 1});
  auto sent = to_queue(q, "1");
  sent.properties.headers = {{"x-delivery-count", number{77}}, {"mine", "too"}};
  x.publish(sent);
  auto first = x.take();
  CAF_CHECK_EQUAL(returns(first), 77); // what a publisher says stays
  x.settle(first, verdict::requeue);
  for (auto i = 1; i <= 5; ++i) {
    auto got = x.take();
    CAF_CHECK(got.redelivered);
    CAF_CHECK_EQUAL(returns(got), i);
    x.settle(got, verdict::requeue);
  }
}

// RabbitMQ 4.3 tells a handler that failed from one that had no time.
CONFORMANCE_TEST(what_is_only_given_back_counts_or_not_by_version) {
  client x{broker};
  auto q = x.queue("q", quorum());
  x.consume({1, q, 1});
  x.fill(q, {"1"});
  for (auto i = 1; i <= 3; ++i)
    x.settle(x.take(), verdict::release, i == 3);
  auto got = x.take();
  CAF_CHECK(got.redelivered);
  CAF_CHECK_EQUAL(returns(got), counts_releases(x) ? 3 : -1);
}

// The 21st return drops what no dead letter exchange takes.
CONFORMANCE_TEST(a_quorum_queue_that_says_nothing_has_a_limit_by_version) {
  client x{broker};
  const auto has_limit = x.version() >= testing::rabbitmq_4;
  auto limited = x.queue("q", quorum());
  x.consume({1, limited, 1});
  x.fill(limited, {"poison", "next"});
  for (auto i = 0; i <= 20; ++i) {
    auto got = x.take();
    if (got.body == "next") // without a limit they take turns
      x.settle(got, verdict::ack);
    else
      x.settle(got, verdict::requeue);
  }
  CAF_CHECK_EQUAL(x.take().body, has_limit ? "next" : "poison");
}

CONFORMANCE_TEST(a_delivery_limit_of_minus_one_is_none_since_version_4) {
  client x{broker};
  if (x.version() < testing::rabbitmq_4)
    return;
  auto q = x.queue("q", quorum({{"x-delivery-limit", number{-1}}}));
  x.consume({1, q, 1});
  x.fill(q, {"poison"});
  for (auto i = 0; i <= 40; ++i)
    x.settle(x.take(), verdict::requeue);
  CAF_CHECK_EQUAL(returns(x.take()), 41);
}

CONFORMANCE_TEST(what_comes_back_too_often_is_a_dead_letter) {
  client x{broker};
  auto dead = x.queue("dead");
  x.consume({7, dead, 0, true});
  for (number limit : {0, 2}) {
    auto q = x.queue("q-" + std::to_string(limit), quorum({{"x-delivery-limit", limit},
                                                           {"x-dead-letter-exchange", ""},
                                                           {"x-dead-letter-routing-key", dead}}));
    x.consume({1, q, 1});
    x.fill(q, {"poison"});
    for (number i = 0; i <= limit; ++i) {
      auto got = x.take();
      CAF_CHECK_EQUAL(got.consumer, 1u);
      x.settle(got, verdict::requeue);
    }
    auto got = x.take();
    CAF_CHECK_EQUAL(got.consumer, 7u);
    CAF_CHECK_EQUAL(returns(got), -1);
    auto reason = std::find_if(got.properties.headers.begin(), got.properties.headers.end(),
                               [](auto& field) { return field.first == "x-first-death-reason"; });
    CAF_REQUIRE(reason != got.properties.headers.end());
    CAF_CHECK(reason->second == field_value{"delivery_limit"});
    CAF_REQUIRE(!x.call(cancel_consumer{1}));
  }
}

CONFORMANCE_TEST(a_lost_link_counts_as_a_return) {
  client x{broker};
  auto q = x.queue("q", quorum({{"x-delivery-limit", number{1}}}));
  x.fill(q, {"poison"});
  for (number i = 0; i < 2; ++i) {
    client consuming{broker};
    consuming.consume({1, q, 1});
    auto got = consuming.take();
    CAF_CHECK_EQUAL(got.redelivered, i > 0);
    consuming.close();
    CAF_CHECK(!consuming.down());
  }
  x.fill(q, {"next"});
  x.consume({1, q, 1});
  CAF_CHECK_EQUAL(x.take().body, "next");
}

// RabbitMQ appends what a consumer gives back, unless it counts towards a limit. Version 4
// has always one, unless it is told not to, and 4.3 appends nothing.
CONFORMANCE_TEST(without_a_limit_what_is_given_back_goes_to_the_end) {
  client x{broker};
  const auto version = x.version();
  auto q = version < testing::rabbitmq_4 ? x.queue("q", quorum())
                                         : x.queue("q", quorum({{"x-delivery-limit", number{-1}}}));
  x.fill(q, {"1", "2", "3", "4"});
  x.consume({1, q, 3});
  auto got = x.take(3);
  x.settle(got[2], verdict::requeue, true);
  const auto appends = version < testing::rabbitmq_4_3;
  auto rest = x.take(3);
  CAF_CHECK(bodies(rest) == (appends ? texts{"4", "1", "2"} : texts{"1", "2", "3"}));
  x.settle(rest[0], verdict::ack);
  CAF_CHECK_EQUAL(x.take().body, appends ? "3" : "4");
}

CONFORMANCE_TEST(with_a_limit_what_is_given_back_comes_first) {
  client x{broker};
  auto q = x.queue("q", quorum({{"x-delivery-limit", number{5}}}));
  x.fill(q, {"1", "2", "3", "4", "5"});
  x.consume({1, q, 3});
  auto got = x.take(3);
  CAF_REQUIRE(!x.call(cancel_consumer{1}));
  x.settle(got[2], verdict::requeue);
  x.settle(got[0], verdict::requeue);
  x.consume({2, q, 0, true});
  // In the order in which it came back.
  CAF_CHECK(bodies(x.take(4)) == (texts{"3", "1", "4", "5"}));
}

CONFORMANCE_TEST(what_a_lost_link_held_comes_first) {
  client x{broker};
  auto q = x.queue("q", quorum());
  x.fill(q, {"1", "2", "3"});
  {
    client lost{broker};
    lost.consume({1, q, 2});
    CAF_CHECK_EQUAL(lost.take(2).size(), 2u);
  }
  CAF_CHECK(eventually([&] { return x.messages(q) == 3; }));
  x.consume({1, q, 0, true});
  CAF_CHECK(bodies(x.take(3)) == (texts{"1", "2", "3"}));
}

CONFORMANCE_TEST(a_rejected_message_of_a_quorum_queue_is_a_dead_letter) {
  client x{broker};
  auto dead = x.queue("dead");
  auto q =
      x.queue("q", quorum({{"x-dead-letter-exchange", ""}, {"x-dead-letter-routing-key", dead}}));
  x.consume({1, q, 1});
  x.consume({2, dead, 0, true});
  x.fill(q, {"1"});
  x.settle(x.take(), verdict::requeue);
  x.settle(x.take(), verdict::reject);
  auto got = x.take();
  CAF_CHECK_EQUAL(got.consumer, 2u);
  CAF_CHECK_EQUAL(returns(got), -1);
  CAF_CHECK(!got.redelivered);
}

// What the former consumer holds counts against the one that takes its name.
CONFORMANCE_TEST(a_consumer_of_a_quorum_queue_is_known_by_its_name) {
  client x{broker};
  auto q = x.queue("q", quorum());
  x.fill(q, {"1", "2", "3"});
  x.consume({1, q, 1});
  auto first = x.take();
  CAF_REQUIRE(!x.call(cancel_consumer{1}));
  x.consume({1, q, 1});
  CAF_CHECK(x.take_all().empty());
  x.settle(first, verdict::ack);
  CAF_CHECK_EQUAL(x.take().body, "2");
  CAF_CHECK(x.take_all().empty());
}

CONFORMANCE_TEST(a_quorum_queue_knows_no_exclusive_consumers) {
  client x{broker};
  client other{broker};
  auto q = x.queue("q", quorum());
  x.consume({1, q, 1, false, true});
  other.consume({1, q, 1, false, true});
  CAF_CHECK_EQUAL(x.answer(x.send(declare_queue{{q}, true})).consumers, 2u);
}

CONFORMANCE_TEST(consumers_of_a_quorum_queue_are_told_of_its_end) {
  client x{broker};
  auto q = x.queue("q", quorum());
  x.consume({1, q, 1});
  x.fill(q, {"1"});
  auto got = x.take();
  CAF_REQUIRE(!x.call(delete_queue{q}));
  CAF_CHECK_EQUAL(x.cancelled(), 1u);
  x.settle(got, verdict::requeue);
  CAF_CHECK(x.take_all().empty());
  CAF_CHECK_EQUAL(x.channels_closed(), 0u);
}
