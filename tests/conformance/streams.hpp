#pragma once

#include <algorithm>
#include <map>
#include <optional>

#include "caf/test/unit_test.hpp"
#include "conformance/client.hpp"

using namespace actors;
using namespace actors::amqp;
using namespace actors::amqp::conformance;

// Stream queues: a log that everybody reads from where they like.

namespace {

using texts = std::vector<std::string>;
using number = std::int64_t;
using verdict = settlement::verdict;

field_table stream() {
  return {{"x-queue-type", "stream"}};
}

consumer reader(consumer_id id, const std::string& queue, std::uint16_t prefetch_count,
                std::optional<field_value> offset = std::nullopt) {
  consumer result{id, queue, prefetch_count};
  if (offset)
    result.arguments = {{"x-stream-offset", std::move(*offset)}};
  return result;
}

/// The header `x-stream-offset`, or -1.
number offset(const received& x) {
  for (auto& [key, value] : x.properties.headers)
    if (key == "x-stream-offset")
      return std::get<number>(value);
  return -1;
}

std::vector<number> offsets(const std::vector<received>& xs) {
  std::vector<number> result;
  for (auto& x : xs)
    result.push_back(offset(x));
  return result;
}

using numbers = std::vector<number>;

} // namespace

CONFORMANCE_TEST(a_stream_is_read_from_its_first_message_and_keeps_them_all) {
  client x{broker};
  auto q = x.queue("q", stream());
  x.fill(q, {"0", "1", "2"});
  for (consumer_id reading = 1; reading <= 2; ++reading) {
    x.consume(reader(reading, q, 10, "first"));
    auto got = x.take(3);
    CAF_CHECK(bodies(got) == (texts{"0", "1", "2"}));
    CAF_CHECK(offsets(got) == (numbers{0, 1, 2}));
    CAF_CHECK(!got[0].redelivered);
    x.settle(got[2], verdict::ack, true);
  }
  // Everybody gets what is new.
  x.fill(q, {"3"});
  CAF_CHECK(bodies(x.take(2)) == (texts{"3", "3"}));
}

CONFORMANCE_TEST(a_stream_is_read_from_where_the_consumer_likes) {
  client x{broker};
  auto q = x.queue("q", stream());
  x.fill(q, {"0"});
  x.fill(q, {"1"});
  x.fill(q, {"2"});
  const std::pair<std::optional<field_value>, numbers> starts[] = {
      {"first", {0, 1, 2, 3}}, {"last", {2, 3}}, {"next", {3}},        {std::nullopt, {3}},
      {number{1}, {1, 2, 3}},  {number{3}, {3}}, {"1h", {0, 1, 2, 3}},
  };
  consumer_id last = 0;
  for (auto& [start, expected] : starts)
    x.consume(reader(++last, q, 10, start));
  x.consume(reader(++last, q, 10, number{4})); // not there yet
  x.fill(q, {"3"});
  std::size_t count = 0;
  for (auto& [start, expected] : starts)
    count += expected.size();
  std::map<consumer_id, numbers> got;
  for (auto& message : x.take(count))
    got[message.consumer].push_back(offset(message));
  for (consumer_id id = 1; id < last; ++id)
    CAF_CHECK(got[id] == starts[id - 1].second);
  CAF_CHECK(got[last].empty());
  x.fill(q, {"4"});
  for (auto& message : x.take(last))
    CAF_CHECK_EQUAL(offset(message), 4);
}

CONFORMANCE_TEST(an_empty_stream_is_read_from_its_beginning) {
  client x{broker};
  auto q = x.queue("q", stream());
  x.consume(reader(1, q, 10, "first"));
  x.consume(reader(2, q, 10, "last"));
  x.consume(reader(3, q, 10, number{0}));
  x.fill(q, {"0"});
  CAF_CHECK(offsets(x.take(3)) == (numbers{0, 0, 0}));
}

CONFORMANCE_TEST(acknowledging_a_stream_gives_credit) {
  client x{broker};
  auto q = x.queue("q", stream());
  for (auto i = 0; i < 9; ++i)
    x.fill(q, {std::to_string(i)});
  x.consume(reader(1, q, 3, "first"));
  auto got = x.take(3);
  x.settle(got[0], verdict::ack);
  CAF_CHECK_EQUAL(x.take().body, "3");
  x.settle(got[2], verdict::ack, true);
  CAF_CHECK(bodies(x.take(2)) == (texts{"4", "5"}));
  CAF_CHECK(x.take_all().empty());
}

CONFORMANCE_TEST(a_stream_does_not_notice_a_lost_reader) {
  client x{broker};
  auto q = x.queue("q", stream());
  x.fill(q, {"0", "1"});
  {
    client lost{broker};
    lost.consume(reader(1, q, 5, "first"));
    lost.take(2);
  }
  x.consume(reader(1, q, 5, number{1}));
  auto got = x.take();
  CAF_CHECK_EQUAL(got.body, "1");
  CAF_CHECK(!got.redelivered);
  // As other channels do, this one ends with a tag that it does not know.
  x.settle(1, {99, verdict::ack, false});
  CAF_CHECK(x.channel_closed().which == channel::deliveries);
  x.consume(reader(1, q, 5, number{1}));
  CAF_CHECK_EQUAL(x.take().body, "1");
}

// RabbitMQ 4 takes it for an acknowledgement.
CONFORMANCE_TEST(giving_back_to_a_stream_ends_the_link_or_acknowledges) {
  for (auto what : {verdict::requeue, verdict::reject}) {
    client x{broker};
    if (x.version() >= testing::rabbitmq_4) {
      auto q = x.queue(what == verdict::requeue ? "q-requeue" : "q-reject", stream());
      x.fill(q, {"0", "1"});
      x.consume(reader(1, q, 1, "first"));
      x.settle(x.take(), what);
      CAF_CHECK_EQUAL(x.take().body, "1");
      continue;
    }
    client other{broker};
    auto suffix = what == verdict::requeue ? std::string{"-requeue"} : std::string{"-reject"};
    auto q = x.queue("q" + suffix, stream());
    auto classic = x.queue("classic" + suffix);
    other.fill(q, {"0"});
    other.fill(classic, {"1"});
    x.consume({2, classic, 5});
    x.take();
    x.consume(reader(1, q, 5, "first"));
    x.settle(x.take(), what);
    auto reason = x.down();
    CAF_CHECK_EQUAL(to_string(reason.code), "not_implemented");
    CAF_CHECK(reason.text.find("'" + q + "'") != std::string::npos);
    other.consume({1, classic, 0, true});
    CAF_CHECK_EQUAL(other.take().body, "1");
  }
}

CONFORMANCE_TEST(a_stream_is_read_with_acknowledgement_and_a_limit_alone) {
  client x{broker};
  auto q = x.queue("q", stream());
  auto refused = [&](consumer what) {
    auto error = x.call(start_consumer{std::move(what)});
    CAF_CHECK(x.channel_closed().which == channel::deliveries);
    return error.code == ec::precondition_failed
           && error.text.find("'" + q + "'") != std::string::npos;
  };
  auto impossible = [&](const consumer& what) {
    return x.call(start_consumer{what}).code == ec::invalid_argument;
  };
  CAF_CHECK(impossible(reader(1, q, 0, "first")));
  CAF_CHECK(impossible(reader(1, q, 10, "5"))); // a number is no text
  CAF_CHECK_EQUAL(x.channels_closed(), 0u);
  // What does not say that it reads a stream is refused by the broker.
  CAF_CHECK(refused({1, q, 0}));
  if (broker.relayed)
    return;
  CAF_CHECK(refused({1, q, 10, true}));
  CAF_CHECK(refused({1, q, 10, true})); // the limit was for the former life
  // Where another consumer of the channel has said how many, it is another error.
  auto classic = x.queue("classic");
  x.consume({2, classic, 10});
  x.send(start_consumer{{1, q, 10, true}});
  CAF_CHECK_EQUAL(to_string(x.down().code), "not_implemented");
}

CONFORMANCE_TEST(an_offset_is_for_streams_alone) {
  client x{broker};
  const std::string queues[] = {x.queue("classic"),
                                x.queue("quorum", {{"x-queue-type", "quorum"}})};
  for (auto& q : queues) {
    auto error = x.call(start_consumer{reader(1, q, 10, "first")});
    CAF_CHECK_EQUAL(to_string(error.code), "precondition_failed");
    CAF_CHECK(error.text.find("x-stream-offset") != std::string::npos);
    CAF_CHECK(x.channel_closed().which == channel::deliveries);
  }
}

CONFORMANCE_TEST(properties_arrive_from_a_stream_as_they_were_sent) {
  client x{broker};
  auto q = x.queue("q", stream());
  auto e = x.exchange("e");
  x.bind(e, q, "a.#");
  auto sent = to_queue("a.b", "body");
  sent.exchange = e;
  sent.properties.message_id = "m-1";
  sent.properties.timestamp = 1'558'949'307;
  sent.properties.persistent = true;
  sent.properties.position = stream_position{77, 42};
  sent.properties.headers = {{"count", number{-3}}, {"share", 0.25}, {"truth", true}};
  auto with_offset = sent;
  with_offset.properties.headers.emplace_back("x-stream-offset", number{77});
  x.publish(with_offset);
  x.consume(reader(1, q, 10, "first"));
  auto got = x.take();
  CAF_CHECK_EQUAL(got.exchange, e);
  CAF_CHECK_EQUAL(got.routing_key, "a.b");
  CAF_CHECK_EQUAL(offset(got), 0);
  std::erase_if(got.properties.headers, [](auto& x) { return x.first == "x-stream-offset"; });
  CAF_CHECK(sorted(got.properties) == sorted(sent.properties));
}

// So a passive declaration does not tell whether a stream's consumer is there.
CONFORMANCE_TEST(a_declaration_does_not_say_who_reads_a_stream) {
  client x{broker};
  auto q = x.queue("q", stream());
  x.consume(reader(1, q, 10, "first"));
  auto answer = x.answer(x.send(declare_queue{{q}, true}));
  CAF_CHECK(!answer.error);
  CAF_CHECK_EQUAL(answer.consumers, 0u);
}

CONFORMANCE_TEST(a_stream_knows_no_exclusive_readers_and_tells_of_its_end) {
  client x{broker};
  client other{broker};
  auto q = x.queue("q", stream());
  auto alone = reader(1, q, 10, "first");
  alone.exclusive = true;
  x.consume(alone);
  other.consume(alone);
  CAF_REQUIRE(!x.call(delete_queue{q}));
  CAF_CHECK_EQUAL(x.cancelled(), 1u);
  CAF_CHECK_EQUAL(other.cancelled(), 1u);
}

CONFORMANCE_TEST(a_cancelled_reader_goes_on_where_it_likes) {
  client x{broker};
  auto q = x.queue("q", stream());
  x.fill(q, {"0", "1", "2"});
  x.consume(reader(1, q, 1, "first"));
  auto got = x.take();
  CAF_REQUIRE(!x.call(cancel_consumer{1}));
  x.settle(got, verdict::ack);
  x.consume(reader(1, q, 10, number{1}));
  CAF_CHECK(offsets(x.take(2)) == (numbers{1, 2}));
}
