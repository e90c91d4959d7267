#pragma once

#include <algorithm>
#include <map>

#include "caf/test/unit_test.hpp"
#include "conformance/client.hpp"

using namespace actors;
using namespace actors::amqp;
using namespace actors::amqp::conformance;

namespace {

using verdict = settlement::verdict;
using texts = std::vector<std::string>;

} // namespace

// -- order and credit -------------------------------------------------------------

CONFORMANCE_TEST(a_queue_keeps_the_order) {
  client x{broker};
  auto q = x.queue("q");
  texts sent;
  for (auto i = 0; i < 200; ++i)
    sent.push_back(std::to_string(i));
  x.fill(q, sent);
  x.consume({1, q, 0, true});
  CAF_CHECK(bodies(x.take(sent.size())) == sent);
}

CONFORMANCE_TEST(prefetch_bounds_what_is_in_flight) {
  client x{broker};
  auto q = x.queue("q");
  x.fill(q, {"1", "2", "3", "4", "5"});
  x.consume({1, q, 2});
  auto got = x.take_all();
  CAF_REQUIRE(bodies(got) == (texts{"1", "2"}));
  x.settle(got[0], verdict::ack);
  CAF_CHECK_EQUAL(x.take().body, "3");
  x.settle(got[1], verdict::ack);
  CAF_CHECK(bodies(x.take_all()) == (texts{"4"}));
}

CONFORMANCE_TEST(prefetch_0_is_without_limit) {
  client x{broker};
  auto q = x.queue("q");
  x.fill(q, texts(50, "x"));
  x.consume({1, q, 0});
  CAF_CHECK_EQUAL(x.take(50).size(), 50u);
}

CONFORMANCE_TEST(prefetch_has_no_effect_without_acknowledgement) {
  client x{broker};
  auto q = x.queue("q");
  x.fill(q, texts(50, "x"));
  x.consume({1, q, 1, true});
  CAF_CHECK_EQUAL(x.take(50).size(), 50u);
}

CONFORMANCE_TEST(each_consumer_has_its_own_prefetch) {
  client x{broker};
  auto narrow = x.queue("narrow");
  auto wide = x.queue("wide");
  x.consume({1, narrow, 1});
  x.consume({2, wide, 3});
  x.fill(narrow, {"n1", "n2"});
  x.fill(wide, {"w1", "w2", "w3", "w4"});
  texts from_narrow;
  texts from_wide;
  for (auto& got : x.take_all())
    (got.consumer == 1 ? from_narrow : from_wide).push_back(got.body);
  CAF_CHECK(from_narrow == (texts{"n1"}));
  CAF_CHECK(from_wide == (texts{"w1", "w2", "w3"}));
}

CONFORMANCE_TEST(consumers_take_turns) {
  client x{broker};
  auto q = x.queue("q");
  x.consume({1, q, 0, true});
  x.consume({2, q, 0, true});
  x.fill(q, texts(10, "x"));
  std::size_t first = 0;
  for (auto& got : x.take(10))
    first += got.consumer == 1 ? 1 : 0;
  CAF_CHECK_EQUAL(first, 5u);
}

CONFORMANCE_TEST(a_consumer_without_credit_is_passed_over) {
  client x{broker};
  auto q = x.queue("q");
  x.consume({1, q, 1});
  x.consume({2, q, 0});
  x.fill(q, texts(6, "x"));
  std::size_t first = 0;
  for (auto& got : x.take(6))
    first += got.consumer == 1 ? 1 : 0;
  CAF_CHECK_EQUAL(first, 1u);
}

// -- settling ---------------------------------------------------------------------

CONFORMANCE_TEST(a_requeued_message_comes_again_and_first) {
  client x{broker};
  auto q = x.queue("q");
  x.fill(q, {"1", "2"});
  x.consume({1, q, 1});
  auto got = x.take();
  CAF_CHECK(!got.redelivered);
  x.settle(got, verdict::requeue);
  auto again = x.take();
  CAF_CHECK_EQUAL(again.body, "1");
  CAF_CHECK(again.redelivered);
  CAF_CHECK_NOT_EQUAL(again.tag, got.tag);
  x.settle(again, verdict::ack);
  auto next = x.take();
  CAF_CHECK_EQUAL(next.body, "2");
  CAF_CHECK(!next.redelivered);
}

CONFORMANCE_TEST(a_requeued_message_goes_back_to_its_place) {
  client x{broker};
  auto q = x.queue("q");
  x.fill(q, {"1", "2", "3", "4"});
  x.consume({1, q, 3});
  auto got = x.take_all();
  CAF_REQUIRE_EQUAL(got.size(), 3u);
  CAF_REQUIRE(!x.call(cancel_consumer{1}));
  x.settle(got[2], verdict::requeue);
  x.settle(got[0], verdict::requeue);
  x.consume({2, q, 0, true});
  CAF_CHECK(bodies(x.take_all()) == (texts{"1", "3", "4"}));
}

CONFORMANCE_TEST(several_are_requeued_in_order) {
  client x{broker};
  auto q = x.queue("q");
  x.fill(q, {"1", "2", "3", "4"});
  x.consume({1, q, 3});
  auto got = x.take_all();
  CAF_REQUIRE_EQUAL(got.size(), 3u);
  x.settle(got[2], verdict::requeue, true);
  auto again = x.take_all();
  CAF_CHECK(bodies(again) == (texts{"1", "2", "3"}));
  for (auto& message : again)
    CAF_CHECK(message.redelivered);
}

CONFORMANCE_TEST(a_rejected_message_is_gone) {
  client x{broker};
  auto q = x.queue("q");
  x.fill(q, {"1", "2"});
  x.consume({1, q, 1});
  x.settle(x.take(), verdict::reject);
  CAF_CHECK_EQUAL(x.take().body, "2");
}

CONFORMANCE_TEST(several_are_acknowledged_at_once) {
  client x{broker};
  auto q = x.queue("q");
  x.fill(q, {"1", "2", "3", "4", "5", "6"});
  x.consume({1, q, 3});
  auto got = x.take_all();
  CAF_REQUIRE_EQUAL(got.size(), 3u);
  x.settle(got[1], verdict::ack, true);
  CAF_CHECK(bodies(x.take_all()) == (texts{"4", "5"}));
}

CONFORMANCE_TEST(tag_0_with_multiple_is_everything) {
  client x{broker};
  auto q = x.queue("q");
  x.fill(q, {"1", "2", "3"});
  x.consume({1, q, 2});
  CAF_REQUIRE_EQUAL(x.take_all().size(), 2u);
  x.settle(1, {0, verdict::ack, true});
  CAF_CHECK(bodies(x.take_all()) == (texts{"3"}));
  CAF_CHECK_EQUAL(x.channels_closed(), 0u);
}

CONFORMANCE_TEST(an_unknown_tag_closes_the_channel_and_returns_its_messages) {
  client x{broker};
  auto q = x.queue("q");
  x.fill(q, {"1"});
  x.consume({1, q, 5});
  CAF_CHECK_EQUAL(x.take().generation, 1u);
  x.settle(1, {99, verdict::ack, false});
  auto closed = x.channel_closed();
  CAF_CHECK(closed.which == channel::deliveries);
  CAF_CHECK_EQUAL(to_string(closed.reason.code), "precondition_failed");
  // The consumer is gone with the channel, and its name is free again.
  x.consume({1, q, 5});
  auto again = x.take();
  CAF_CHECK_EQUAL(again.body, "1");
  CAF_CHECK(again.redelivered);
  CAF_CHECK_EQUAL(again.generation, 2u);
  CAF_CHECK_EQUAL(again.tag, 1u);
}

CONFORMANCE_TEST(settling_twice_closes_the_channel) {
  client x{broker};
  auto q = x.queue("q");
  x.fill(q, {"1", "2"});
  x.consume({1, q, 5});
  auto got = x.take(2);
  x.settle(got[0], verdict::ack);
  x.settle(got[0], verdict::ack, true);
  CAF_CHECK_EQUAL(to_string(x.channel_closed().reason.code), "precondition_failed");
}

CONFORMANCE_TEST(a_settlement_of_a_former_life_is_ignored) {
  client x{broker};
  auto q = x.queue("q");
  x.fill(q, {"1", "2"});
  x.consume({1, q, 1});
  auto old = x.take();
  x.settle(1, {99, verdict::ack, false});
  x.channel_closed();
  x.consume({1, q, 1});
  CAF_CHECK_EQUAL(x.take().body, "1");
  x.settle(old, verdict::ack);
  CAF_CHECK(x.take_all().empty());
  CAF_CHECK_EQUAL(x.channels_closed(), 1u);
}

// -- ends -------------------------------------------------------------------------

CONFORMANCE_TEST(what_a_lost_link_had_not_settled_goes_to_another) {
  client first{broker};
  client second{broker};
  auto q = first.queue("q");
  first.fill(q, {"1", "2", "3"});
  first.consume({1, q, 2});
  auto got = first.take_all();
  CAF_REQUIRE_EQUAL(got.size(), 2u);
  first.close();
  CAF_CHECK(!first.down());
  second.consume({1, q, 0, true});
  auto rest = second.take(3);
  CAF_CHECK(bodies(rest) == (texts{"1", "2", "3"}));
  CAF_CHECK(rest[0].redelivered);
  CAF_CHECK(rest[1].redelivered);
  CAF_CHECK(!rest[2].redelivered);
}

CONFORMANCE_TEST(a_cancelled_consumer_keeps_what_it_has_not_settled) {
  client x{broker};
  auto q = x.queue("q");
  x.fill(q, {"1", "2"});
  x.consume({1, q, 1});
  auto first = x.take();
  CAF_REQUIRE(!x.call(cancel_consumer{1}));
  x.consume({2, q, 0, true});
  CAF_CHECK(bodies(x.take_all()) == (texts{"2"}));
  x.settle(first, verdict::requeue);
  auto again = x.take();
  CAF_CHECK_EQUAL(again.body, "1");
  CAF_CHECK(again.redelivered);
}

CONFORMANCE_TEST(a_cancelled_consumer_gets_no_more) {
  client x{broker};
  auto q = x.queue("q");
  x.consume({1, q, 0, true});
  CAF_REQUIRE(!x.call(cancel_consumer{1}));
  x.fill(q, {"1"});
  CAF_CHECK(x.take_all().empty());
}

CONFORMANCE_TEST(cancelling_an_unknown_consumer_is_no_error) {
  client x{broker};
  CAF_CHECK(!x.call(cancel_consumer{7}));
}

CONFORMANCE_TEST(a_consumers_name_is_free_after_its_cancel) {
  client x{broker};
  auto q = x.queue("q");
  x.fill(q, {"1", "2"});
  x.consume({1, q, 1});
  auto first = x.take();
  CAF_REQUIRE(!x.call(cancel_consumer{1}));
  x.consume({1, q, 1});
  auto second = x.take();
  CAF_CHECK_EQUAL(second.body, "2");
  x.fill(q, {"3"});
  CAF_CHECK(x.take_all().empty());
  // RabbitMQ keeps credit by name: what the former consumer settles counts.
  x.settle(first, verdict::ack);
  CAF_CHECK_EQUAL(x.take().body, "3");
}

CONFORMANCE_TEST(a_consumer_is_not_started_twice) {
  client x{broker};
  auto q = x.queue("q");
  x.consume({1, q, 0, true});
  auto error = x.call(start_consumer{{1, q}});
  CAF_CHECK_EQUAL(to_string(error.code), "invalid_argument");
  x.fill(q, {"1"});
  CAF_CHECK_EQUAL(x.take().body, "1");
  CAF_CHECK_EQUAL(x.channels_closed(), 0u);
}

CONFORMANCE_TEST(consumers_are_told_when_their_queue_is_deleted) {
  client x{broker};
  client other{broker};
  auto q = x.queue("q");
  x.consume({1, q, 0, true});
  other.consume({5, q, 0, true});
  CAF_REQUIRE(!other.call(delete_queue{q}));
  CAF_CHECK_EQUAL(x.cancelled(), 1u);
  CAF_CHECK_EQUAL(other.cancelled(), 5u);
  // The name is free, the channel is in order.
  CAF_CHECK_EQUAL(x.queue("q"), q);
  x.consume({1, q, 0, true});
  x.fill(q, {"new"});
  CAF_CHECK_EQUAL(x.take().body, "new");
  CAF_CHECK_EQUAL(x.channels_closed(), 0u);
}

CONFORMANCE_TEST(settling_for_a_deleted_queue_has_no_effect) {
  client x{broker};
  auto q = x.queue("q");
  x.fill(q, {"1", "2"});
  x.consume({1, q, 2});
  auto got = x.take(2);
  CAF_REQUIRE(!x.call(delete_queue{q}));
  CAF_CHECK_EQUAL(x.cancelled(), 1u);
  x.queue("q");
  x.settle(got[0], verdict::ack);
  x.settle(got[1], verdict::requeue);
  x.consume({1, q, 0, true});
  CAF_CHECK(x.take_all().empty());
  CAF_CHECK_EQUAL(x.channels_closed(), 0u);
}

// -- refused consumers --------------------------------------------------------------

CONFORMANCE_TEST(a_consumer_of_a_missing_queue_is_refused_by_the_end_of_its_channel) {
  client x{broker};
  auto q = x.queue("q");
  x.consume({1, q, 0, true});
  auto missing = broker.name("missing");
  x.send(start_consumer{{2, missing}});
  auto closed = x.channel_closed();
  CAF_CHECK(closed.which == channel::deliveries);
  CAF_CHECK_EQUAL(to_string(closed.reason.code), "not_found");
  CAF_CHECK(closed.reason.text.find("'" + missing + "'") != std::string::npos);
  CAF_CHECK_EQUAL(closed.generation, 1u);
  std::sort(closed.consumers.begin(), closed.consumers.end());
  CAF_CHECK(closed.consumers == (std::vector<consumer_id>{1, 2}));
  CAF_CHECK_EQUAL(x.last_event(), "closed deliveries");
  // The other consumer is gone as well.
  x.fill(q, {"1"});
  CAF_CHECK(x.take_all().empty());
  x.consume({1, q, 1});
  CAF_CHECK_EQUAL(x.take().body, "1");
}

CONFORMANCE_TEST(consumers_of_different_groups_do_not_share_their_ends) {
  client x{broker};
  auto q = x.queue("q");
  auto other = x.queue("other");
  consumer suspect{2, broker.name("missing")};
  suspect.group = 7;
  x.consume({1, q, 5});
  CAF_CHECK_EQUAL(to_string(x.call(start_consumer{suspect}).code), "not_found");
  auto closed = x.channel_closed();
  CAF_CHECK(closed.consumers == std::vector<consumer_id>{2});
  suspect.queue = other;
  suspect.prefetch_count = 2;
  x.consume(suspect);
  x.fill(q, {"1", "2"});
  x.fill(other, {"3"});
  std::map<std::string, received> got;
  for (auto& message : x.take(3))
    got.emplace(message.body, message);
  // Each life has tags of its own.
  CAF_CHECK_EQUAL(got["1"].generation, got["2"].generation);
  CAF_CHECK_NOT_EQUAL(got["1"].generation, got["3"].generation);
  CAF_CHECK_NOT_EQUAL(got["3"].generation, closed.generation);
  CAF_CHECK_EQUAL(got["3"].tag, 1u);
  x.settle(got["3"], verdict::requeue);
  CAF_CHECK_EQUAL(x.take().body, "3");
  x.settle(got["3"].generation, {99, verdict::ack, false});
  CAF_CHECK(x.channel_closed().consumers == std::vector<consumer_id>{2});
  x.settle(got["1"], verdict::requeue);
  CAF_CHECK_EQUAL(x.take().body, "1");
  CAF_CHECK_EQUAL(x.messages(other), 1u);
}

CONFORMANCE_TEST(an_exclusive_consumer_has_the_queue_alone) {
  client x{broker};
  client other{broker};
  auto q = x.queue("q");
  x.consume({1, q, 1, false, true});
  auto error = other.call(start_consumer{{1, q}});
  CAF_CHECK_EQUAL(to_string(error.code), "access_refused");
  CAF_CHECK(error.text.find(q) != std::string::npos);
  CAF_CHECK(other.channel_closed().which == channel::deliveries);
  CAF_REQUIRE(!x.call(cancel_consumer{1}));
  other.consume({1, q});
  auto late = x.call(start_consumer{{1, q, 1, false, true}});
  CAF_CHECK_EQUAL(to_string(late.code), "access_refused");
}

CONFORMANCE_TEST(a_closed_channel_takes_an_auto_delete_queue_with_it) {
  client x{broker};
  auto q = broker.name("q");
  CAF_REQUIRE(!x.call(declare_queue{{q, false, false, true}}));
  x.consume({1, q});
  x.settle(1, {99, verdict::ack, false});
  x.channel_closed();
  CAF_CHECK(eventually([&] { return !x.exists(q); }));
}

// -- the link -----------------------------------------------------------------------

CONFORMANCE_TEST(a_closed_link_has_sent_what_it_was_given) {
  client x{broker};
  client other{broker};
  auto q = x.queue("q");
  for (auto i = 0; i < 100; ++i)
    x.post(to_queue(q, std::to_string(i)));
  x.close();
  CAF_CHECK(!x.down());
  CAF_CHECK_EQUAL(x.last_event(), "down");
  other.consume({1, q, 0, true});
  auto got = other.take(100);
  CAF_CHECK_EQUAL(got.back().body, "99");
}

CONFORMANCE_TEST(a_link_that_is_dropped_by_its_owner_is_gone) {
  client other{broker};
  auto q = broker.name("q");
  {
    client owner{broker};
    CAF_REQUIRE(!owner.call(declare_queue{{q, false, true, false}}));
  }
  CAF_CHECK(eventually([&] { return !other.exists(q); }));
}
