#define CAF_SUITE topology_state.upkeep

// What nobody tells the topology state: consumers and bindings that went missing, and
// the queues beside a consumer's.

#include "topology/topology_state.hpp"

#include "topology_state_fixture.hpp"

using namespace actors;
using namespace topology_state_test;

namespace {

wanted_consumer wanted_with_dead_letters(amqp::consumer_id id) {
  auto result = wanted(id, "E", "a");
  result.companion_queues = {{.name = "q1.retry.10", .durable = true, .auto_delete = false},
                             {.name = "q1.dead", .durable = true, .auto_delete = false}};
  return result;
}

} // namespace

CAF_TEST_FIXTURE_SCOPE(topology_state_upkeep_tests, fixture)

// -- consumers and bindings ----------------------------------------------------------------

CAF_TEST(a look at what stands changes nothing) {
  start_one();
  want(1, "E", "b");
  run();
  requests.clear();
  verify();
  CAF_CHECK_EQUAL(take(requests), (lines{"bind queue 'q1' to exchange 'E' with routing key 'a'",
                                         "bind queue 'q1' to exchange 'E' with routing key 'b'",
                                         "check queue 'q1'"}));
  CAF_CHECK(!x.suspects());
  CAF_CHECK_EQUAL(x.running(), 1u);
  CAF_CHECK(notes.empty());
  CAF_CHECK_EQUAL(bound[1].size(), 2u);
}

// Once may be a moment in which its leader moves.
CAF_TEST(a consumer that is missing twice is told to be wedged and is started anew) {
  start_one();
  broker.forget_consumer(1);
  verify();
  CAF_CHECK(x.suspects());
  news.clear();
  verify();
  CAF_CHECK_EQUAL(news.at(1), "1: consumer_wedged");
  CAF_CHECK_EQUAL(news.back(), "1 a: on q1");
  CAF_CHECK(!x.suspects());
  CAF_CHECK_EQUAL(broker.queues.at("q1").consumers.size(), 1u);
}

CAF_TEST(a consumer that is there again is not suspected any more) {
  start_one();
  broker.forget_consumer(1);
  verify();
  broker.queues.at("q1").consumers.insert(1);
  verify();
  broker.forget_consumer(1);
  verify();
  CAF_CHECK(x.suspects());
  CAF_CHECK_EQUAL(x.running(), 1u);
}

// AMQP says nothing when an exchange takes its bindings along.
CAF_TEST(the bindings of a deleted exchange come back with it) {
  start_one();
  broker.delete_exchange("E");
  CAF_CHECK_EQUAL(bindings(1), 0u);
  verify();
  CAF_CHECK_EQUAL(bindings(1), 1u);
  CAF_CHECK_EQUAL(broker.exchanges.count("E"), 1u);
}

// RabbitMQ does not count who reads a stream.
CAF_TEST(a stream without a count is not suspected) {
  up();
  auto stream = wanted(1, "E", "a");
  stream.queue.arguments = {{"x-queue-type", std::string{"stream"}}};
  x.want(stream);
  follow();
  run();
  broker.queues.at("q1").consumers.clear();
  verify();
  CAF_CHECK(!x.suspects());
}

CAF_TEST(nothing is looked at while the link is down) {
  start_one();
  down();
  verify();
  CAF_CHECK(requests.empty());
}

// -- the queues beside ------------------------------------------------------------------------

CAF_TEST(queues beside a consumer are declared ahead of its own) {
  up();
  x.want(wanted_with_dead_letters(1));
  follow();
  round();
  CAF_CHECK_EQUAL(requests, (lines{"declare exchange 'E' (topic)", "declare queue 'q1.retry.10'",
                                   "declare queue 'q1.dead'", "declare queue 'q1'"}));
  run();
  CAF_CHECK_EQUAL(x.running(), 1u);
  down();
  up();
  run();
  CAF_CHECK_EQUAL(broker.queues.count("q1.dead"), 1u);
}

CAF_TEST(a refused queue beside a consumer is reported and stops nobody) {
  refuse("'q1.dead'", ec::access_refused);
  up();
  x.want(wanted_with_dead_letters(1));
  follow();
  run();
  CAF_CHECK_EQUAL(x.running(), 1u);
  CAF_REQUIRE_EQUAL(x.refused().size(), 1u);
  CAF_CHECK(x.refused()[0].starts_with("queue 'q1.dead': "));
  heal();
  x.retry();
  follow();
  run();
  CAF_CHECK(x.refused().empty());
  CAF_CHECK_EQUAL(broker.queues.count("q1.dead"), 1u);
}

CAF_TEST(queues beside a consumer that are all refused are one line of the log) {
  refuse("'q1.", ec::access_refused);
  up();
  notes.clear();
  x.want(wanted_with_dead_letters(1));
  follow();
  run();
  CAF_CHECK_EQUAL(x.refused().size(), 2u);
  CAF_CHECK_EQUAL(notes.size(), 1u);
}

CAF_TEST(a queue beside a consumer that exists otherwise is used as it is) {
  broker.queues["q1.dead"] = {true, false, {}, {}};
  up();
  x.want(wanted_with_dead_letters(1));
  follow();
  run();
  CAF_CHECK(x.refused().empty());
  CAF_CHECK_EQUAL(notes.size(), 1u);
}

CAF_TEST(a missing queue beside a consumer is declared again) {
  up();
  x.want(wanted_with_dead_letters(1));
  follow();
  run();
  broker.queues.erase("q1.retry.10");
  x.queue_missing("q1.retry.10");
  x.queue_missing("somebody else's");
  follow();
  run();
  CAF_CHECK_EQUAL(broker.queues.count("q1.retry.10"), 1u);
}

CAF_TEST(a look at what stands finds a missing queue beside a consumer) {
  up();
  x.want(wanted_with_dead_letters(1));
  follow();
  run();
  verify();
  CAF_CHECK(notes.empty());
  broker.queues.erase("q1.dead");
  verify();
  CAF_CHECK_EQUAL(broker.queues.count("q1.dead"), 1u);
  CAF_CHECK(x.refused().empty());
}

CAF_TEST(where a stream is read from can change) {
  auto again = wanted(1, "E", "a");
  again.queue.auto_delete = false;
  x.want(again);
  up();
  run();
  broker.queues.at("q1").messages = 42;
  again.consumer.arguments = {{"x-stream-offset", std::int64_t{42}}};
  x.want(again);
  follow();
  down();
  up();
  auto starts = 0;
  for (auto i = 0; i < 3; ++i)
    round();
  for (auto& request : broker.channels[1]) // that of group 0
    if (auto start = std::get_if<amqp::start_consumer>(&request.op)) {
      ++starts;
      CAF_CHECK(start->spec.arguments == again.consumer.arguments);
    }
  CAF_CHECK_EQUAL(starts, 1);
}

// The dispatcher says where to go on whenever the reader ends: that is no wish to try again.
CAF_TEST(a reader that is refused is not asked for again because it goes on elsewhere) {
  auto reader = wanted(1, "E", "a");
  reader.queue.auto_delete = false;
  x.want(reader);
  up();
  run();
  down();
  broker.queues.clear();
  refuse("declare queue 'q1'", ec::not_found);
  up();
  run();
  CAF_REQUIRE_EQUAL(x.refused().size(), 1u);
  requests.clear();
  reader.consumer.arguments = {{"x-stream-offset", std::int64_t{42}}};
  reader.goes_on = true;
  x.want(reader);
  follow();
  CAF_CHECK(requests.empty());
  heal();
  x.retry();
  follow();
  run();
  CAF_CHECK(broker.last_start.arguments == reader.consumer.arguments);
}

// RabbitMQ would pass over all that comes, until there is as much as there was.
CAF_TEST(a stream that is deleted is read from the beginning of the next one) {
  auto again = wanted(1, "E", "a");
  again.queue.auto_delete = false;
  again.consumer.arguments = {{"x-stream-offset", std::string{"first"}}};
  x.want(again);
  up();
  run();
  auto go_on_at = [&](std::int64_t offset) {
    again.consumer.arguments = {{"x-stream-offset", offset}};
    x.want(again);
    follow();
  };
  auto offset = [&] { return std::get<std::int64_t>(broker.last_start.arguments.at(0).second); };
  // RabbitMQ says of a stream that it is empty for a while after it was started.
  go_on_at(42);
  down();
  up();
  run();
  CAF_CHECK_EQUAL(offset(), 42);
  CAF_CHECK(!abandoned_offset);
  broker.delete_queue("q1");
  deliver();
  go_on_at(43);
  run();
  CAF_CHECK_EQUAL(offset(), 0);
  CAF_CHECK(abandoned_offset == std::int64_t{43});
  CAF_CHECK_EQUAL(notes.back(), "queue 'q1': the stream that was read up to 43 is gone, "
                                "another one is read from its beginning");
  go_on_at(5);
  down();
  up();
  run();
  CAF_CHECK_EQUAL(offset(), 5);
}

CAF_TEST_FIXTURE_SCOPE_END()
