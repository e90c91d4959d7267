#define CAF_SUITE topology_state

#include "topology/topology_state.hpp"

#include <algorithm>

#include "topology_state_fixture.hpp"

using namespace actors;
using namespace topology_state_test;

CAF_TEST_FIXTURE_SCOPE(topology_state_tests, fixture)

// -- the chain -----------------------------------------------------------------------

CAF_TEST(an entity is asked for when what it needs stands) {
  x.want(wanted(1, "E", "a"));
  CAF_CHECK(x.take_requests().empty());
  up();
  CAF_CHECK(!x.exchanges_settled());
  CAF_CHECK_EQUAL(take(requests), (lines{"declare exchange 'E' (topic)"}));
  round();
  CAF_CHECK(x.exchanges_settled());
  CAF_CHECK_EQUAL(take(requests), (lines{"declare queue 'q1'"}));
  round();
  CAF_CHECK_EQUAL(take(requests), (lines{"bind queue 'q1' to exchange 'E' with routing key 'a'"}));
  round();
  CAF_CHECK_EQUAL(take(requests), (lines{"start consumer 1 on queue 'q1'"}));
  CAF_CHECK(news.empty());
  round();
  CAF_CHECK(requests.empty());
  CAF_CHECK_EQUAL(news, (lines{"1 a: on q1"}));
  CAF_CHECK_EQUAL(x.running(), 1u);
}

CAF_TEST(all is asked for again after a loss) {
  start_one();
  want(1, "F", "b");
  want(2, "F", "c");
  run();
  down();
  CAF_CHECK_EQUAL(x.running(), 0u);
  CAF_CHECK(broker.queues.empty());
  requests.clear();
  news.clear();
  up();
  CAF_CHECK_EQUAL(take(requests),
                  (lines{"declare exchange 'E' (topic)", "declare exchange 'F' (topic)"}));
  round();
  CAF_CHECK_EQUAL(take(requests), (lines{"declare queue 'q1'", "declare queue 'q2'"}));
  round();
  CAF_CHECK_EQUAL(take(requests), (lines{"bind queue 'q1' to exchange 'E' with routing key 'a'",
                                         "bind queue 'q1' to exchange 'F' with routing key 'b'",
                                         "bind queue 'q2' to exchange 'F' with routing key 'c'"}));
  round();
  CAF_CHECK_EQUAL(take(requests),
                  (lines{"start consumer 1 on queue 'q1'", "start consumer 2 on queue 'q2'"}));
  run();
  CAF_CHECK_EQUAL(news, (lines{"1 a: on q1", "1 b: on q1", "2 c: on q2"}));
}

CAF_TEST(a thousand consumers come back in four rounds) {
  for (amqp::consumer_id id = 1; id <= 1'000; ++id)
    want(id, id % 2 ? "E" : "F", "key." + std::to_string(id));
  up();
  run();
  CAF_CHECK_EQUAL(x.running(), 1'000u);
  down();
  requests.clear();
  up();
  run();
  CAF_CHECK_EQUAL(rounds, 4u);
  CAF_CHECK_EQUAL(requests.size(), 3'002u);
  CAF_CHECK_EQUAL(broker.consumers.size(), 1'000u);
}

CAF_TEST(answers from before a loss are of no effect) {
  up();
  want(1, "E", "a");
  round();
  broker.serve(0);
  auto stale = std::get<amqp::reply>(broker.events.front());
  down();
  up();
  round();
  requests.clear();
  x.replied(stale);
  follow();
  CAF_CHECK(requests.empty());
  run();
  CAF_CHECK_EQUAL(x.running(), 1u);
}

CAF_TEST(a queue that the broker names gets a new name each time) {
  up();
  auto what = wanted(1, "E", "a");
  what.consumer.queue = what.queue.name = what.binding.queue = "";
  what.queue.exclusive = true;
  x.want(what);
  follow();
  run();
  CAF_CHECK_EQUAL(take(news), (lines{"1 a: on generated-1"}));
  down();
  up();
  run();
  CAF_CHECK_EQUAL(take(news), (lines{"1 a: on generated-2"}));
  CAF_CHECK_EQUAL(broker.queues.size(), 1u);
  CAF_CHECK_EQUAL(bindings(1), 1u);
}

// -- exchanges -------------------------------------------------------------------------

CAF_TEST(an exchange of another type is used as it is) {
  broker.exchanges["E"] = amqp::exchange_type::fanout;
  start_one();
  CAF_CHECK(x.refused().empty());
  down();
  requests.clear();
  up();
  run();
  CAF_CHECK_EQUAL(requests[0], "declare exchange 'E' (topic)");
  CAF_CHECK_EQUAL(requests[1], "check exchange 'E'");
  CAF_REQUIRE_EQUAL(notes.size(), 1u);
  CAF_CHECK(notes[0].find("used as it is") != std::string::npos);
  CAF_CHECK_EQUAL(x.running(), 1u);
}

CAF_TEST(an exchange that we may not declare is used if it exists) {
  broker.exchanges["E"] = amqp::exchange_type::topic;
  refuse("declare exchange", ec::access_refused);
  up();
  want(1, "E", "a");
  run();
  CAF_CHECK_EQUAL(x.running(), 1u);
  CAF_CHECK(!x.exchange_failure("E"));
  CAF_REQUIRE_EQUAL(notes.size(), 1u);
  CAF_CHECK_EQUAL(notes[0].substr(0, notes[0].find(':')),
                  "exchange 'E' exists and is used as it is, as we may not declare it");
}

CAF_TEST(a refused exchange says why and stops only its own consumers) {
  refuse("declare exchange 'E'", ec::access_refused);
  up();
  want(1, "E", "a");
  want(2, "F", "b");
  run();
  CAF_CHECK(x.exchanges_settled());
  // The reason is the first answer: that it does not exist follows from it.
  CAF_CHECK(x.exchange_failure("E").code == ec::access_refused);
  CAF_CHECK_EQUAL(x.refused().size(), 2u);
  CAF_CHECK_EQUAL(x.running(), 1u);
  CAF_CHECK_EQUAL(news, (lines{"1 a: access_refused", "1: access_refused", "2 b: on q2"}));
  heal();
  x.retry();
  follow();
  run();
  CAF_CHECK(x.refused().empty());
  CAF_CHECK_EQUAL(news.back(), "1 a: on q1");
}

// RabbitMQ 4.3 says what declaring needs also to who may not look.
CAF_TEST(a refused exchange says which right is missing) {
  refuse("exchange 'E'", ec::access_refused);
  refuse("declare exchange 'F'", ec::access_refused);
  up();
  want(1, "E", "a");
  want(2, "F", "b");
  run();
  CAF_CHECK_EQUAL(x.exchange_failure("E").text,
                  "declare exchange 'E' (topic); grant configure, or, if the exchange is there "
                  "already, read to subscribe or write to publish");
  CAF_CHECK_EQUAL(x.exchange_failure("F").text,
                  "declare exchange 'F' (topic); the exchange is not there: grant configure, or "
                  "have somebody else declare it");
  CAF_CHECK(std::any_of(notes.begin(), notes.end(), [](auto& note) {
    return note.starts_with("exchange 'E' refused: ")
           && note.ends_with("read to subscribe or write to publish");
  }));
}

CAF_TEST(the reason of a refusal is the latest one) {
  refuse("declare exchange 'E'", ec::access_refused);
  up();
  want(1, "E", "a");
  run();
  heal();
  refuse("exchange 'E'", ec::syntax_error);
  x.retry();
  follow();
  run();
  CAF_CHECK(x.exchange_failure("E").code == ec::syntax_error);
}

CAF_TEST(an exchange of the broker itself is only checked) {
  up();
  want(1, "amq.topic", "a");
  CAF_CHECK_EQUAL(take(requests), (lines{"check exchange 'amq.topic'"}));
  run();
  CAF_CHECK(x.exchange_failure("amq.topic").code == ec::not_found);
  broker.exchanges["amq.topic"] = amqp::exchange_type::topic;
  x.retry();
  follow();
  notes.clear();
  run();
  CAF_CHECK_EQUAL(x.running(), 1u);
  CAF_CHECK(notes.empty());
}

CAF_TEST(a lost exchange is declared again) {
  x.want(amqp::exchange{.name = "E"});
  up();
  run();
  broker.exchanges.clear();
  x.redeclare_exchanges();
  follow();
  CAF_CHECK(!x.exchanges_settled());
  run();
  CAF_CHECK(x.exchanges_settled());
  CAF_CHECK_EQUAL(broker.exchanges.count("E"), 1u);
}

// The broker tells nobody that bindings are gone.
CAF_TEST(the bindings of a lost exchange come back with it) {
  start_one();
  want(1, "F", "b");
  run();
  take(requests);
  broker.exchanges.erase("E");
  broker.queues["q1"].bindings.clear();
  x.redeclare_exchanges();
  follow();
  CAF_CHECK_EQUAL(take(requests),
                  (lines{"declare exchange 'E' (topic)", "declare exchange 'F' (topic)"}));
  run();
  CAF_CHECK_EQUAL(bindings(1), 2u);
  CAF_CHECK_EQUAL(requests, (lines{"bind queue 'q1' to exchange 'E' with routing key 'a'",
                                   "bind queue 'q1' to exchange 'F' with routing key 'b'"}));
  CAF_CHECK_EQUAL(x.running(), 1u);
}

// -- queues ------------------------------------------------------------------------------

CAF_TEST(a queue of another kind is used as it is) {
  broker.queues["q1"].auto_delete = false;
  up();
  want(1, "E", "a");
  run();
  CAF_CHECK_EQUAL(x.running(), 1u);
  CAF_CHECK_EQUAL(requests[2], "check queue 'q1'");
  CAF_REQUIRE_EQUAL(notes.size(), 1u);
  CAF_CHECK(notes[0].find("used as it is") != std::string::npos);
}

CAF_TEST(a refused queue stops no other and comes back with the retry) {
  refuse("declare queue 'q1'", ec::access_refused);
  up();
  want(1, "E", "a");
  want(2, "E", "a");
  run();
  CAF_CHECK_EQUAL(take(news), (lines{"1: access_refused", "2 a: on q2"}));
  CAF_CHECK_EQUAL(x.refused().size(), 1u);
  heal();
  x.retry();
  follow();
  run();
  CAF_CHECK_EQUAL(news, (lines{"1 a: on q1"}));
  CAF_CHECK(x.refused().empty());
}

CAF_TEST(wanting a refused consumer again asks at once) {
  refuse("declare queue", ec::resource_locked);
  up();
  want(1, "E", "a");
  run();
  heal();
  want(1, "E", "a");
  run();
  CAF_CHECK_EQUAL(news, (lines{"1: resource_locked", "1 a: on q1"}));
}

// -- bindings ----------------------------------------------------------------------------

CAF_TEST(a running consumer takes another binding at once) {
  start_one();
  want(1, "E", "b");
  CAF_CHECK_EQUAL(take(requests), (lines{"bind queue 'q1' to exchange 'E' with routing key 'b'"}));
  run();
  CAF_CHECK(requests.empty());
  CAF_CHECK_EQUAL(take(news), (lines{"1 b: on q1"}));
  want(1, "E", "b");
  CAF_CHECK(requests.empty());
  CAF_CHECK_EQUAL(news, (lines{"1 b: on q1"}));
}

// The consumer would be started twice if the chain began anew.
CAF_TEST(a binding to a new exchange waits for the exchange) {
  start_one();
  want(1, "F", "b");
  CAF_CHECK_EQUAL(requests, (lines{"declare exchange 'F' (topic)"}));
  run();
  CAF_CHECK_EQUAL(news, (lines{"1 b: on q1"}));
  CAF_CHECK_EQUAL(bindings(1), 2u);
}

CAF_TEST(a late binding to a refused exchange is answered) {
  start_one();
  refuse("exchange 'F'", ec::access_refused);
  want(1, "F", "b");
  run();
  CAF_CHECK_EQUAL(take(news), (lines{"1 b: access_refused"}));
  want(1, "F", "c");
  run();
  CAF_CHECK_EQUAL(take(news), (lines{"1 c: access_refused"}));
  heal();
  x.retry();
  follow();
  run();
  CAF_CHECK_EQUAL(news, (lines{"1 b: on q1", "1 c: on q1"}));
  CAF_CHECK(x.refused().empty());
}

CAF_TEST(a refused binding stops no other and comes back with the retry) {
  refuse("routing key 'b'", ec::access_refused);
  up();
  want(1, "E", "a");
  want(1, "E", "b");
  run();
  CAF_CHECK_EQUAL(take(news), (lines{"1 b: access_refused", "1 a: on q1"}));
  CAF_CHECK_EQUAL(x.refused().size(), 1u);
  want(1, "E", "b");
  run();
  CAF_CHECK_EQUAL(take(news), (lines{"1 b: access_refused"}));
  heal();
  x.retry();
  follow();
  run();
  CAF_CHECK_EQUAL(news, (lines{"1 b: on q1"}));
  CAF_CHECK(x.refused().empty());
}

CAF_TEST(without any binding a consumer does not start) {
  refuse("bind queue", ec::access_refused);
  up();
  want(1, "E", "a");
  run();
  CAF_CHECK_EQUAL(news, (lines{"1 a: access_refused", "1: access_refused"}));
  CAF_CHECK(broker.consumers.empty());
}

// Somebody deletes the exchange between its declaration and the binding.
CAF_TEST(a missing exchange is declared again for a binding) {
  up();
  want(1, "E", "a");
  round();
  broker.exchanges.clear();
  run();
  CAF_CHECK_EQUAL(x.running(), 1u);
  broker.exchanges.clear();
  want(1, "E", "b");
  run();
  CAF_CHECK_EQUAL(news, (lines{"1 a: on q1", "1 b: on q1"}));
}

CAF_TEST(what stays missing is given up after three attempts and tried with the retry) {
  refuse("bind queue", ec::not_found);
  up();
  want(1, "E", "a");
  run();
  CAF_CHECK_EQUAL(std::count(requests.begin(), requests.end(), "declare queue 'q1'"), 4);
  CAF_CHECK_EQUAL(take(news), (lines{"1 a: not_found", "1: not_found"}));
  requests.clear();
  x.retry();
  follow();
  run();
  CAF_CHECK_EQUAL(std::count(requests.begin(), requests.end(), "declare queue 'q1'"), 4);
  heal();
  refuse("start consumer", ec::not_found);
  requests.clear();
  x.retry();
  follow();
  run();
  CAF_CHECK_EQUAL(std::count(requests.begin(), requests.end(), "declare queue 'q1'"), 4);
  heal();
  x.retry();
  follow();
  run();
  CAF_CHECK_EQUAL(x.running(), 1u);
}

CAF_TEST(a late binding to what stays missing ends and leaves the consumer running) {
  start_one();
  refuse("bind queue", ec::not_found);
  want(1, "E", "b");
  run();
  CAF_CHECK_EQUAL(news, (lines{"1 b: not_found"}));
  CAF_CHECK_EQUAL(x.running(), 1u);
  CAF_CHECK_EQUAL(broker.consumers.size(), 1u);
}

CAF_TEST(a dropped binding is unbound and an answer to its request is stale) {
  start_one();
  want(1, "E", "b");
  unwant(1, "E", "b");
  want(1, "E", "b");
  refuse("routing key 'b'", ec::access_refused);
  broker.serve(0);
  heal();
  deliver();
  CAF_CHECK(news.empty());
  run();
  CAF_CHECK_EQUAL(news, (lines{"1 b: on q1"}));
  unwant(1, "E", "a");
  CAF_CHECK_EQUAL(requests.back(), "unbind queue 'q1' from exchange 'E' with routing key 'a'");
  run();
  CAF_CHECK_EQUAL(bindings(1), 1u);
}

// A refusal without a reason would read as success.
CAF_TEST(dropping the usable binding leaves the reason of the other) {
  refuse("exchange 'F'", ec::access_refused);
  up();
  want(1, "E", "a");
  want(1, "F", "b");
  round();
  round();
  CAF_CHECK_EQUAL(take(news), (lines{"1 b: access_refused"}));
  round();
  unwant(1, "E", "a");
  run();
  CAF_CHECK_EQUAL(news, (lines{"1: access_refused"}));
  CAF_CHECK(broker.consumers.empty());
}

CAF_TEST(the last binding takes the consumer along) {
  start_one();
  unwant(1, "E", "a");
  run();
  CAF_CHECK(broker.consumers.empty());
  CAF_CHECK(broker.queues.empty());
  want(2, "E", "a");
  down();
  unwant(2, "E", "a");
  up();
  run();
  CAF_CHECK(broker.consumers.empty());
}

// -- the end of a consumer ----------------------------------------------------------------

// A queue deletes itself after its last consumer, so each chain is finished.
CAF_TEST(an unwanted consumer leaves nothing behind at any stage) {
  for (auto stage = 0; stage < 6; ++stage) {
    const auto id = static_cast<amqp::consumer_id>(stage + 1);
    up();
    want(id, "E" + std::to_string(stage), "a");
    for (auto i = 0; i < stage; ++i)
      round();
    unwant(id);
    run();
    CAF_CHECK_EQUAL(x.running(), 0u);
    CAF_CHECK(broker.consumers.empty());
    CAF_CHECK(broker.queues.empty());
    down();
  }
}

CAF_TEST(an unwanted consumer is not retried) {
  for (auto text : {"declare queue", "bind queue", "start consumer"}) {
    up();
    refuse(text, ec::not_found);
    want(1, "E", "a");
    round();
    unwant(1);
    run();
    CAF_CHECK_EQUAL(std::count(requests.begin(), requests.end(), "declare queue 'q1'"), 1);
    CAF_CHECK(x.refused().empty());
    heal();
    down();
    requests.clear();
  }
}

CAF_TEST(a consumer whose queue was deleted comes back) {
  start_one();
  want(1, "E", "b");
  run();
  news.clear();
  broker.delete_queue("q1");
  run();
  CAF_CHECK_EQUAL(news, (lines{"1: consumer_cancelled", "1 a: on q1", "1 b: on q1"}));
  CAF_CHECK_EQUAL(bindings(1), 2u);
}

CAF_TEST(a cancellation of what does not run is of no effect) {
  x.cancelled(1);
  up();
  want(1, "E", "a");
  round();
  requests.clear();
  x.cancelled(1);
  follow();
  CAF_CHECK(requests.empty());
  run();
  CAF_CHECK_EQUAL(news, (lines{"1 a: on q1"}));
}

CAF_TEST(consumers come back when their channel was closed) {
  start_one();
  want(2, "E", "b");
  run();
  news.clear();
  broker.close(0, {ec::precondition_failed, "no"});
  run();
  CAF_CHECK_EQUAL(news, (lines{"1 a: on q1", "2 b: on q2"}));
  CAF_CHECK_EQUAL(broker.consumers.size(), 2u);
}

// -- rights -------------------------------------------------------------------------------

CAF_TEST(who may only read consumes a queue that is there) {
  broker.exchanges["E"] = amqp::exchange_type::topic;
  broker.queues["q1"].auto_delete = false;
  for (auto request : {"declare exchange", "declare queue", "bind queue"})
    refuse(request, ec::access_refused);
  up();
  want(1, "E", "a");
  run();
  CAF_CHECK_EQUAL(take(news), (lines{"1 a: on q1, bound by others"}));
  CAF_CHECK(x.refused().empty());
  CAF_CHECK(std::any_of(notes.begin(), notes.end(), [](auto& y) {
    return y.find("what arrives is what was bound already") != std::string::npos;
  }));
  want(1, "E", "b");
  run();
  CAF_CHECK_EQUAL(take(news), (lines{"1 b: on q1, bound by others"}));
  x.retry();
  verify();
  CAF_CHECK(news.empty());
}

CAF_TEST(who may not bind a kept queue of his own consumes it) {
  refuse("bind queue", ec::access_refused);
  up();
  auto kept = wanted(1, "E", "a");
  kept.queue.durable = true;
  kept.queue.auto_delete = false;
  x.want(kept);
  follow();
  run();
  CAF_CHECK_EQUAL(news, (lines{"1 a: on q1, bound by others"}));
}

// -- what a broker does not allow ---------------------------------------------------------------

CAF_TEST(queues are durable only where transient ones are denied) {
  std::vector<amqp::queue> declared;
  const auto declare = [&](bool transient_queues) {
    amqp::broker_limits limits;
    limits.transient_queues = transient_queues;
    x.up(limits);
    for (auto i = 0; i < 2; ++i)
      for (auto& request : x.take_requests()) {
        if (auto queue = std::get_if<amqp::declare_queue>(&request.op))
          declared.push_back(queue->spec);
        x.replied({request.id, {}, {}});
      }
    x.down();
  };
  x.want(wanted(1, "E", "a"));
  declare(false);
  declare(true);
  CAF_REQUIRE_EQUAL(declared.size(), 2u);
  CAF_CHECK(declared[0].durable && declared[0].auto_delete && !declared[0].exclusive);
  const amqp::field_table expires{{"x-expires", std::int64_t{60'000}}};
  CAF_CHECK(declared[0].arguments == expires);
  CAF_CHECK(declared[1] == wanted(1, "E", "a").queue);
}

CAF_TEST(exchanges are durable but for those of AIOQuant) {
  up();
  std::vector<bool> durable;
  for (auto name : {"Orderbook", "Trade", "Kline", "Signals"}) {
    x.want(wanted(1, name, "a"));
    for (auto& request : x.take_requests())
      durable.push_back(std::get<amqp::declare_exchange>(request.op).spec.durable);
  }
  CAF_CHECK(durable == (std::vector<bool>{false, false, false, true}));
}

CAF_TEST_FIXTURE_SCOPE_END()
