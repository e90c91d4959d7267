#pragma once

#include <algorithm>

#include "caf/test/unit_test.hpp"
#include "conformance/client.hpp"

using namespace actors;
using namespace actors::amqp;
using namespace actors::amqp::conformance;
using namespace std::chrono_literals;

// What the arguments of queues do: limits in time and in size.

namespace {

using texts = std::vector<std::string>;
using number = std::int64_t;
using verdict = settlement::verdict;

field_table quorum(field_table more = {}) {
  more.emplace_back("x-queue-type", "quorum");
  return more;
}

field_table stream(field_table more = {}) {
  more.emplace_back("x-queue-type", "stream");
  return more;
}

/// Whether a queue is there, asked without using it: it takes messages.
bool takes_messages(client& x, const std::string& queue) {
  auto before = x.returns();
  auto probe = to_queue(queue, "probe");
  probe.mandatory = true;
  // Its return comes first. A queue that is on its way out may refuse it.
  return x.confirmed(x.post(probe)) && x.returns() == before;
}

} // namespace

// -- arguments --------------------------------------------------------------------

CONFORMANCE_TEST(arguments_without_a_meaning_are_refused_by_name) {
  client x{broker};
  auto q = broker.name("q");
  const field_table refused[] = {
      {{"x-message-ttl", number{-1}}},
      {{"x-message-ttl", "5"}},
      {{"x-message-ttl", 5.0}},
      {{"x-message-ttl", true}},
      {{"x-message-ttl", number{315'360'000'001}}},
      {{"x-expires", number{0}}},
      {{"x-expires", number{-1}}},
      {{"x-expires", "a"}},
      {{"x-max-length", number{-1}}},
      {{"x-max-length", "1"}},
      {{"x-max-length-bytes", number{-1}}},
      {{"x-max-length-bytes", "1"}},
      {{"x-dead-letter-exchange", number{1}}},
      {{"x-dead-letter-routing-key", "k"}},
      {{"x-dead-letter-routing-key", number{1}}, {"x-dead-letter-exchange", ""}},
      {{"x-overflow", "drop-tail"}},
      {{"x-overflow", number{1}}},
      {{"x-queue-type", "wooden"}},
      {{"x-queue-type", number{1}}},
      {{"x-single-active-consumer", number{1}}},
      {{"x-max-priority", "3"}},
      {{"x-delivery-limit", number{3}}}, // of a classic queue
      {{"x-max-age", "1D"}},
  };
  for (auto& arguments : refused) {
    auto& name = arguments.front().first;
    CAF_MESSAGE(name);
    auto error = x.call(declare_queue{{q, false, false, false, arguments}});
    CAF_CHECK_EQUAL(to_string(error.code), "precondition_failed");
    CAF_CHECK(error.text.find("'" + name + "'") != std::string::npos);
    CAF_CHECK(error.text.find("'" + q + "'") != std::string::npos);
  }
  CAF_CHECK(!x.exists(q));
}

CONFORMANCE_TEST(arguments_at_their_limits_are_taken) {
  client x{broker};
  x.queue("ttl-0", {{"x-message-ttl", number{0}}});
  x.queue("ttl-ten-years", {{"x-message-ttl", number{315'360'000'000}}});
  x.queue("expires-1", {{"x-expires", number{60'000}}});
  x.queue("length-0", {{"x-max-length", number{0}}, {"x-max-length-bytes", number{0}}});
  x.queue("dead-letters",
          {{"x-dead-letter-exchange", broker.name("missing")}, {"x-dead-letter-routing-key", ""}});
}

CONFORMANCE_TEST(quorum_queues_and_streams_are_durable_and_shared) {
  client x{broker};
  auto q = broker.name("q");
  for (auto& arguments : {quorum(), stream()}) {
    const std::pair<queue, const char*> refused[] = {
        {{q, false, false, false, arguments}, "non-durable"},
        {{q, true, true, false, arguments}, "exclusive"},
        {{q, true, false, true, arguments}, "auto-delete"},
    };
    for (auto& [what, why] : refused) {
      auto error = x.call(declare_queue{what});
      CAF_CHECK_EQUAL(to_string(error.code), "precondition_failed");
      CAF_CHECK(error.text.find(why) != std::string::npos);
    }
  }
}

CONFORMANCE_TEST(each_kind_of_queue_has_arguments_of_its_own) {
  client x{broker};
  auto q = broker.name("q");
  const std::pair<field_table, const char*> refused[] = {
      {quorum({{"x-max-priority", number{3}}}), "x-max-priority"},
      {quorum({{"x-max-age", "1D"}}), "x-max-age"},
      {stream({{"x-message-ttl", number{100}}}), "x-message-ttl"},
      {stream({{"x-expires", number{100}}}), "x-expires"},
      {stream({{"x-dead-letter-exchange", ""}}), "x-dead-letter-exchange"},
      {stream({{"x-max-length", number{5}}}), "x-max-length"},
      {stream({{"x-overflow", "drop-head"}}), "x-overflow"},
      {stream({{"x-delivery-limit", number{5}}}), "x-delivery-limit"},
      {stream({{"x-single-active-consumer", true}}), "x-single-active-consumer"},
  };
  for (auto& [arguments, name] : refused) {
    auto error = x.call(declare_queue{{q, true, false, false, arguments}});
    CAF_CHECK_EQUAL(to_string(error.code), "precondition_failed");
    CAF_CHECK(error.text.find(name) != std::string::npos);
  }
  x.queue("quorum", quorum({{"x-message-ttl", number{60'000}},
                            {"x-expires", number{60'000}},
                            {"x-dead-letter-exchange", ""},
                            {"x-dead-letter-routing-key", "k"},
                            {"x-max-length", number{5}},
                            {"x-max-length-bytes", number{5}},
                            {"x-overflow", "reject-publish"},
                            {"x-delivery-limit", number{3}}}));
  x.queue("stream", stream({{"x-max-length-bytes", number{5}}, {"x-max-age", "1D"}}));
}

CONFORMANCE_TEST(a_second_declaration_must_repeat_the_arguments) {
  client x{broker};
  auto classic = x.queue("classic", {{"x-message-ttl", number{60'000}}});
  auto limited = x.queue("limited", quorum({{"x-delivery-limit", number{3}}}));
  auto refused = [&](const std::string& queue, bool durable, field_table arguments) {
    auto error = x.call(declare_queue{{queue, durable, false, false, std::move(arguments)}});
    return error.code == ec::precondition_failed;
  };
  CAF_CHECK(refused(classic, false, {}));
  CAF_CHECK(refused(classic, false, {{"x-message-ttl", number{60'001}}}));
  CAF_CHECK(refused(limited, true, {}));
  CAF_CHECK(refused(limited, true, quorum()));
  CAF_CHECK(refused(limited, true, quorum({{"x-delivery-limit", number{4}}})));
  CAF_CHECK(!refused(limited, true, quorum({{"x-delivery-limit", number{3}}})));
  // No type is the classic type.
  CAF_CHECK(
      !refused(classic, false, {{"x-queue-type", "classic"}, {"x-message-ttl", number{60'000}}}));
}

// -- time -------------------------------------------------------------------------

CONFORMANCE_TEST(messages_expire) {
  client x{broker};
  for (auto& arguments : {field_table{}, quorum()}) {
    auto wanted = arguments;
    wanted.emplace_back("x-message-ttl", number{80});
    auto q = x.queue(arguments.empty() ? "classic" : "quorum", wanted);
    x.fill(q, {"1", "2"});
    broker.pass(80ms);
    CAF_CHECK(eventually([&] { return x.messages(q) == 0; }));
  }
}

CONFORMANCE_TEST(a_message_that_is_back_too_late_has_expired) {
  client x{broker};
  for (auto& arguments : {field_table{}, quorum()}) {
    auto dead = x.queue(arguments.empty() ? "dead-classic" : "dead-quorum");
    auto wanted = arguments;
    wanted.insert(wanted.end(), {{"x-message-ttl", number{150}},
                                 {"x-dead-letter-exchange", ""},
                                 {"x-dead-letter-routing-key", dead}});
    auto q = x.queue(arguments.empty() ? "classic" : "quorum", wanted);
    x.consume({1, q, 1});
    x.fill(q, {"held", "waits"});
    auto held = x.take();
    broker.pass(150ms);
    // What waits expires, what is held does not.
    x.consume({2, dead, 0, true});
    CAF_CHECK_EQUAL(x.take().body, "waits");
    x.settle(held, verdict::requeue);
    auto late = x.take();
    CAF_CHECK_EQUAL(late.consumer, 2u);
    CAF_CHECK_EQUAL(late.body, "held");
    CAF_REQUIRE(!x.call(cancel_consumer{1}));
    CAF_REQUIRE(!x.call(cancel_consumer{2}));
  }
}

CONFORMANCE_TEST(without_any_time_a_message_needs_a_consumer_that_waits) {
  client x{broker};
  auto q = x.queue("q", {{"x-message-ttl", number{0}}});
  x.fill(q, {"too early"});
  x.consume({1, q, 1});
  x.fill(q, {"in time", "too late"});
  auto got = x.take_all();
  CAF_CHECK(bodies(got) == texts{"in time"});
  x.settle(got[0], verdict::requeue);
  CAF_CHECK(x.take_all().empty());
  CAF_CHECK_EQUAL(x.messages(q), 0u);
}

CONFORMANCE_TEST(a_queue_without_a_use_is_deleted) {
  client x{broker};
  auto q = x.queue("q", {{"x-expires", number{500}}});
  // A publication is no use.
  broker.pass(400ms);
  CAF_CHECK(takes_messages(x, q));
  broker.pass(100ms);
  CAF_CHECK(eventually([&] { return !takes_messages(x, q); }));
  CAF_CHECK(!x.exists(q));
}

CONFORMANCE_TEST(a_declaration_is_a_use_of_a_queue) {
  client x{broker};
  const field_table arguments{{"x-expires", number{1'000}}};
  auto q = x.queue("q", arguments);
  auto other = x.queue("other", arguments);
  // The other queue says that the time is over.
  while (takes_messages(x, other)) {
    CAF_REQUIRE(x.exists(q));
    broker.pass(300ms);
    CAF_REQUIRE(!x.call(declare_queue{{q, false, false, false, arguments}}));
    broker.pass(300ms);
  }
  CAF_CHECK(x.exists(q));
}

CONFORMANCE_TEST(a_queue_with_a_consumer_stays_and_goes_in_time_after_it) {
  client x{broker};
  auto q = x.queue("q", {{"x-expires", number{500}}});
  auto other = x.queue("other", {{"x-expires", number{500}}});
  x.consume({1, q, 1});
  x.fill(q, {"1"});
  auto held = x.take();
  broker.pass(500ms);
  // The other queue says that the time is over.
  CAF_CHECK(eventually([&] { return !takes_messages(x, other); }));
  CAF_CHECK(takes_messages(x, q));
  CAF_REQUIRE(!x.call(cancel_consumer{1}));
  CAF_CHECK(takes_messages(x, q));
  broker.pass(500ms);
  CAF_CHECK(eventually([&] { return !takes_messages(x, q); }));
  // What was held is of a queue that is gone.
  x.settle(held, verdict::ack);
  CAF_CHECK(x.take_all().empty());
  CAF_CHECK_EQUAL(x.channels_closed(), 0u);
}

// A declaration is no use of a quorum queue. RabbitMQ looks at its time every
// few seconds only.
CONFORMANCE_TEST(a_quorum_queue_without_a_consumer_is_deleted) {
  client x{broker};
  const queue what{broker.name("q"), true, false, false, quorum({{"x-expires", number{1'000}}})};
  CAF_REQUIRE(!x.call(declare_queue{what}));
  x.fill(what.name, {"1"});
  CAF_CHECK(eventually([&] { return x.messages(what.name) == 1; }));
  auto is_new = [&] { return x.messages(what.name) == 0; };
  CAF_CHECK(eventually([&] {
    broker.pass(600ms);
    CAF_REQUIRE(!x.call(declare_queue{what}));
    return is_new();
  }));
}

// -- size -------------------------------------------------------------------------

CONFORMANCE_TEST(a_full_queue_drops_its_oldest_messages) {
  client x{broker};
  for (auto& arguments : {field_table{}, quorum()}) {
    auto wanted = arguments;
    wanted.emplace_back("x-max-length", number{2});
    auto q = x.queue(arguments.empty() ? "classic" : "quorum", wanted);
    x.fill(q, {"1", "2", "3", "4"});
    CAF_CHECK(eventually([&] { return x.messages(q) == 2; }));
    x.consume({1, q, 2});
    // What is in a consumer's hands does not count.
    auto got = x.take(2);
    CAF_CHECK(bodies(got) == (texts{"3", "4"}));
    x.fill(q, {"5", "6"});
    CAF_CHECK(eventually([&] { return x.messages(q) == 2; }));
    x.settle(got[1], verdict::ack, true);
    CAF_CHECK(bodies(x.take(2)) == (texts{"5", "6"}));
    CAF_REQUIRE(!x.call(cancel_consumer{1}));
  }
}

CONFORMANCE_TEST(bodies_count_in_bytes) {
  client x{broker};
  for (auto& arguments : {field_table{}, quorum()}) {
    // There more than the body counts since 4.3.
    if (!arguments.empty() && x.version() >= testing::rabbitmq_4_3)
      continue;
    auto wanted = arguments;
    wanted.emplace_back("x-max-length-bytes", number{10});
    auto q = x.queue(arguments.empty() ? "classic" : "quorum", wanted);
    x.fill(q, {"12345", "54321"});
    CAF_CHECK(eventually([&] { return x.messages(q) == 2; }));
    x.fill(q, {"123"});
    CAF_CHECK(eventually([&] { return x.messages(q) == 2; }));
    x.fill(q, {"0123456789"});
    CAF_CHECK(eventually([&] { return x.messages(q) == 1; }));
    x.fill(q, {"0123456789a"});
    CAF_CHECK(eventually([&] { return x.messages(q) == 0; }));
  }
}

CONFORMANCE_TEST(a_message_that_comes_back_to_a_full_queue_is_its_oldest) {
  client x{broker};
  auto q = x.queue("q", {{"x-max-length", number{2}}});
  x.fill(q, {"1"});
  x.consume({1, q, 1});
  auto got = x.take();
  x.fill(q, {"2", "3"});
  CAF_REQUIRE(!x.call(cancel_consumer{1}));
  x.settle(got, verdict::requeue);
  x.consume({2, q, 0, true});
  CAF_CHECK(bodies(x.take(2)) == (texts{"2", "3"}));
}

CONFORMANCE_TEST(a_queue_for_no_messages_hands_them_on) {
  client x{broker};
  auto q = x.queue("q", {{"x-max-length", number{0}}});
  x.fill(q, {"too early"});
  x.consume({1, q, 1});
  x.fill(q, {"in time", "too late"});
  auto got = x.take_all();
  CAF_REQUIRE(bodies(got) == texts{"in time"});
  x.settle(got[0], verdict::ack);
  CAF_CHECK(x.take_all().empty());
}

CONFORMANCE_TEST(a_full_queue_refuses_publications) {
  client x{broker};
  auto q = x.queue("q", {{"x-max-length", number{2}}, {"x-overflow", "reject-publish"}});
  auto taken = [&](const std::string& body) { return x.confirmed(x.post(to_queue(q, body))); };
  CAF_CHECK(taken("1"));
  CAF_CHECK(taken("2"));
  CAF_CHECK(!taken("3"));
  x.consume({1, q, 1});
  auto got = x.take();
  CAF_CHECK_EQUAL(got.body, "1");
  CAF_CHECK(taken("4"));
  CAF_CHECK(!taken("5"));
  // A message that comes back is never refused.
  x.settle(got, verdict::requeue);
  got = x.take();
  for (auto* body : {"1", "2", "4"}) {
    CAF_CHECK_EQUAL(got.body, body);
    x.settle(got, verdict::ack);
    if (got.body != "4")
      got = x.take();
  }
  CAF_CHECK(x.take_all().empty());
}

CONFORMANCE_TEST(a_queue_full_of_bytes_refuses_publications) {
  client x{broker};
  auto q = x.queue("q", {{"x-max-length-bytes", number{10}}, {"x-overflow", "reject-publish"}});
  auto taken = [&](const std::string& body) { return x.confirmed(x.post(to_queue(q, body))); };
  CAF_CHECK(taken("12345"));
  CAF_CHECK(!taken("123456"));
  CAF_CHECK(taken("12345"));
  CAF_CHECK(taken(""));
  CAF_CHECK(!taken("1"));
}

// Even where a consumer waits for it.
CONFORMANCE_TEST(a_queue_for_no_messages_refuses_every_publication) {
  client x{broker};
  auto q = x.queue("q", {{"x-max-length", number{0}}, {"x-overflow", "reject-publish"}});
  x.consume({1, q, 1});
  CAF_CHECK(!x.confirmed(x.post(to_queue(q, "1"))));
  CAF_CHECK(x.take_all().empty());
}

CONFORMANCE_TEST(a_message_that_one_of_its_queues_refuses_is_not_confirmed) {
  client x{broker};
  auto e = x.exchange("e", exchange_type::fanout);
  auto full = x.queue("full", {{"x-max-length", number{1}}, {"x-overflow", "reject-publish"}});
  auto open = x.queue("open");
  x.bind(e, full, "");
  x.bind(e, open, "");
  publication message;
  message.exchange = e;
  message.body = std::make_shared<const std::string>("x");
  CAF_CHECK(x.confirmed(x.post(message)));
  CAF_CHECK(!x.confirmed(x.post(message)));
  CAF_CHECK_EQUAL(x.messages(full), 1u);
  CAF_CHECK_EQUAL(x.messages(open), 2u);
}

CONFORMANCE_TEST(a_full_quorum_queue_does_not_know_how_to_refuse_to_a_dead_letter_exchange) {
  client x{broker};
  auto q =
      x.queue("q", quorum({{"x-max-length", number{1}}, {"x-overflow", "reject-publish-dlx"}}));
  for (auto* body : {"1", "2", "3"})
    CAF_CHECK(x.confirmed(x.post(to_queue(q, body))));
  CAF_CHECK(eventually([&] { return x.messages(q) == 1; }));
  x.consume({1, q, 1});
  CAF_CHECK_EQUAL(x.take().body, "3");
}

// It learns of its own size a little late.
CONFORMANCE_TEST(a_full_quorum_queue_refuses_publications_until_there_is_room) {
  client x{broker};
  auto q = x.queue("q", quorum({{"x-max-length", number{5}}, {"x-overflow", "reject-publish"}}));
  auto taken = [&] { return x.confirmed(x.post(to_queue(q, "x"))); };
  for (auto i = 0; i < 5; ++i)
    CAF_CHECK(taken());
  CAF_CHECK(eventually([&] { return !taken(); }));
  auto full = x.messages(q);
  CAF_CHECK_GREATER(full, 5u);
  x.consume({1, q, 1});
  while (x.messages(q) > 1)
    x.settle(x.take(), verdict::ack);
  CAF_CHECK(eventually(taken));
}
