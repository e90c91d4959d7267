#define CAF_SUITE ledger

#include "actors/ledger.hpp"

#include <array>
#include <deque>
#include <functional>
#include <random>
#include <set>

#include "caf/test/dsl.hpp"

using namespace actors;

namespace {

using lines = std::vector<std::string>;

// -- a broker that fits on a page -------------------------------------------------

struct consumers_lost {};

using event = std::variant<amqp::reply, amqp::consumer_id, consumers_lost>;

/// The broker and the link to it: requests on two channels, events in one order.
/// A refused start closes the channel of all consumers, as AMQP has it.
struct broker {
  struct queue_state {
    bool auto_delete = true;
    bool exclusive = false;
    std::set<std::pair<std::string, std::string>> bindings;
    std::set<amqp::consumer_id> consumers;
  };

  std::map<std::string, amqp::exchange_type> exchanges;
  std::map<std::string, queue_state> queues;
  std::map<amqp::consumer_id, std::string> consumers;
  /// What the broker refuses for no reason of its own.
  std::function<ec(const amqp::operation&)> fault = [](const auto&) { return ec::none; };
  std::array<std::deque<ledger::request>, 2> channels;
  std::deque<event> events;
  int last_name = 0;
  /// A mistake for which a real broker ends the whole connection.
  std::string fatal;

  static std::size_t channel_of(const amqp::operation& x) {
    return std::holds_alternative<amqp::start_consumer>(x)
           || std::holds_alternative<amqp::cancel_consumer>(x);
  }

  void serve(std::size_t channel) {
    auto request = std::move(channels[channel].front());
    channels[channel].pop_front();
    amqp::reply reply{request.id, {}, {}};
    auto code = fault(request.what);
    if (code == ec::none)
      code = std::visit([&](const auto& x) { return apply(x, reply); }, request.what);
    if (code != ec::none)
      reply.error = {code, amqp::to_string(request.what)};
    events.emplace_back(reply);
    if (reply.error && std::holds_alternative<amqp::start_consumer>(request.what)) {
      drop_consumers();
      events.emplace_back(consumers_lost{});
    }
  }

  ec apply(const amqp::declare_exchange& x, amqp::reply&) {
    const auto known = exchanges.find(x.what.name);
    if (x.passive)
      return known == exchanges.end() ? ec::not_found : ec::none;
    if (known == exchanges.end())
      exchanges.emplace(x.what.name, x.what.type);
    else if (known->second != x.what.type)
      return ec::precondition_failed;
    return ec::none;
  }

  ec apply(const amqp::declare_queue& x, amqp::reply& reply) {
    reply.queue = x.what.name.empty() ? "generated-" + std::to_string(++last_name) : x.what.name;
    const auto known = queues.find(reply.queue);
    if (x.passive)
      return known == queues.end() ? ec::not_found : ec::none;
    if (known == queues.end())
      queues[reply.queue] = {x.what.auto_delete, x.what.exclusive, {}, {}};
    else if (known->second.auto_delete != x.what.auto_delete)
      return ec::precondition_failed;
    return ec::none;
  }

  ec apply(const amqp::bind_queue& x, amqp::reply&) {
    const auto queue = queues.find(x.what.queue);
    if (queue == queues.end() || exchanges.count(x.what.exchange) == 0)
      return ec::not_found;
    queue->second.bindings.emplace(x.what.exchange, x.what.routing_key);
    return ec::none;
  }

  ec apply(const amqp::unbind_queue& x, amqp::reply&) {
    if (const auto queue = queues.find(x.what.queue); queue != queues.end())
      queue->second.bindings.erase({x.what.exchange, x.what.routing_key});
    return ec::none;
  }

  ec apply(const amqp::start_consumer& x, amqp::reply&) {
    if (consumers.count(x.what.id) > 0)
      fatal = amqp::to_string(x) + ": it runs already";
    const auto queue = queues.find(x.what.queue);
    if (queue == queues.end())
      return ec::not_found;
    queue->second.consumers.insert(x.what.id);
    consumers.emplace(x.what.id, x.what.queue);
    return ec::none;
  }

  ec apply(const amqp::cancel_consumer& x, amqp::reply&) {
    end_consumer(x.id);
    return ec::none;
  }

  ec apply(const amqp::delete_queue&, amqp::reply&) {
    return ec::not_implemented;
  }

  void end_consumer(amqp::consumer_id id) {
    const auto i = consumers.find(id);
    if (i == consumers.end())
      return;
    const auto queue = queues.find(i->second);
    consumers.erase(i);
    queue->second.consumers.erase(id);
    if (queue->second.auto_delete && queue->second.consumers.empty())
      queues.erase(queue);
  }

  void drop_consumers() {
    while (!consumers.empty())
      end_consumer(consumers.begin()->first);
  }

  void delete_queue(const std::string& name) {
    for (auto id : queues[name].consumers) {
      consumers.erase(id);
      events.emplace_back(id);
    }
    queues.erase(name);
  }

  void lose_link() {
    drop_consumers();
    std::erase_if(queues, [](const auto& x) { return x.second.exclusive; });
    channels = {};
    events.clear();
  }
};

// -- the ledger, its broker, and who listens to the news ------------------------------

wanted_consumer wanted(amqp::consumer_id id, const std::string& exchange, const std::string& key) {
  const auto queue = "q" + std::to_string(id);
  return {{.id = id, .queue = queue}, {.name = queue}, {exchange, queue, key}};
}

/// What a dispatcher knows: which bindings of a consumer work.
using known_bindings = std::map<amqp::consumer_id, std::set<std::pair<std::string, std::string>>>;

struct fixture {
  ledger topology;
  actors::ledger& x = topology;
  ::broker broker;
  known_bindings bound;
  /// All requests and news since they were last asked for.
  lines requests;
  lines news;
  lines notes;
  std::size_t rounds = 0;

  void follow() {
    for (auto& request : x.take_requests()) {
      requests.push_back(amqp::to_string(request.what));
      broker.channels[broker::channel_of(request.what)].push_back(std::move(request));
    }
    for (auto& y : x.take_news())
      on_news(y);
    for (auto& y : x.take_notes())
      notes.push_back(y.text);
  }

  void on_news(const consumer_state& y) {
    auto line = std::to_string(y.id) + (y.binding ? " " + y.binding->routing_key : "") + ": ";
    news.push_back(line + (y.error ? std::string{to_string(y.error.code)} : "on " + y.queue));
    if (!y.error && y.binding)
      bound[y.id].emplace(y.binding->exchange, y.binding->routing_key);
    else if (y.binding)
      bound[y.id].erase({y.binding->exchange, y.binding->routing_key});
    else
      bound[y.id].clear();
    // A consumer as a whole has news only of its end.
    CAF_CHECK(y.binding || y.error);
  }

  void up() {
    x.up();
    follow();
  }

  void down() {
    broker.lose_link();
    x.down();
    bound.clear();
    follow();
  }

  void want(amqp::consumer_id id, const std::string& exchange, const std::string& key) {
    x.want(wanted(id, exchange, key));
    follow();
  }

  void unwant(amqp::consumer_id id) {
    x.unwant(id);
    bound.erase(id);
    follow();
  }

  void unwant(amqp::consumer_id id, const std::string& exchange, const std::string& key) {
    x.unwant(id, {exchange, "q" + std::to_string(id), key});
    bound[id].erase({exchange, key});
    follow();
  }

  /// The next event reaches the ledger.
  void deliver() {
    auto next = std::move(broker.events.front());
    broker.events.pop_front();
    if (auto reply = std::get_if<amqp::reply>(&next)) {
      x.replied(*reply);
    } else if (auto id = std::get_if<amqp::consumer_id>(&next)) {
      x.cancelled(*id);
    } else {
      bound.clear();
      x.consumers_lost();
    }
    follow();
  }

  /// The broker carries out what it was asked and all answers arrive. False:
  /// there was nothing to do.
  bool round() {
    auto result = !broker.events.empty();
    for (auto channel : {0u, 1u})
      for (auto n = broker.channels[channel].size(); n > 0; --n, result = true)
        broker.serve(channel);
    while (!broker.events.empty())
      deliver();
    return result;
  }

  void run() {
    for (rounds = 0; rounds < 1'000 && round(); ++rounds)
      ;
    CAF_REQUIRE(rounds < 1'000);
    CAF_REQUIRE_EQUAL(broker.fatal, "");
  }

  /// Requests that hold `text` are refused.
  void refuse(const std::string& text, ec code) {
    broker.fault = [=, before = broker.fault](const amqp::operation& y) {
      return amqp::to_string(y).find(text) != std::string::npos ? code : before(y);
    };
  }

  void heal() {
    broker.fault = [](const auto&) { return ec::none; };
  }

  lines take(lines& xs) {
    return std::exchange(xs, {});
  }

  /// Runs consumer 1 with `key` of exchange E.
  void start_one(const std::string& key = "a") {
    up();
    want(1, "E", key);
    run();
    CAF_REQUIRE_EQUAL(x.running(), 1u);
    requests.clear();
    news.clear();
    notes.clear();
  }

  std::size_t bindings(amqp::consumer_id id) const {
    const auto i = broker.consumers.find(id);
    return i == broker.consumers.end() ? 0 : broker.queues.at(i->second).bindings.size();
  }
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(ledger_tests, fixture)

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
  x.replied(stale);
  up();
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
  start_one();
  CAF_CHECK(!x.exchange_failure("E"));
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

CAF_TEST(a publishing refusal holds until the retry) {
  x.want(amqp::exchange{.name = "E"});
  up();
  run();
  x.refuse_exchange("E", {ec::access_refused, "no"});
  x.refuse_exchange("unknown", {ec::access_refused, "no"});
  CAF_CHECK(x.exchange_failure("E").code == ec::access_refused);
  x.retry();
  follow();
  run();
  CAF_CHECK(!x.exchange_failure("E"));
  CAF_CHECK(!x.knows_exchange("unknown"));
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
  broker.drop_consumers();
  broker.events.emplace_back(consumers_lost{});
  run();
  CAF_CHECK_EQUAL(news, (lines{"1 a: on q1", "2 b: on q2"}));
  CAF_CHECK_EQUAL(broker.consumers.size(), 2u);
}

// A refused start costs the channel, but its open requests are carried out.
CAF_TEST(a start that is on its way when the channel closes is not asked for twice) {
  start_one();
  refuse("start consumer 2", ec::access_refused);
  want(2, "E", "b");
  want(3, "E", "c");
  run();
  CAF_CHECK_EQUAL(x.running(), 2u);
  CAF_CHECK_EQUAL(broker.consumers.size(), 2u);
  CAF_CHECK_EQUAL(std::count(requests.begin(), requests.end(), "start consumer 3 on queue 'q3'"),
                  1);
}

// -- any order of events ---------------------------------------------------------------

namespace {

/// Wants, drops, refusals and losses by a seed, with answers arriving at any
/// time; then the broker is in good health, and all must agree with it.
struct storm {
  explicit storm(fixture& f, std::uint32_t seed) : f(f), random(seed) {
    f.broker.exchanges["clash"] = amqp::exchange_type::fanout;
    f.broker.queues["q3"].auto_delete = false;
  }

  std::size_t below(std::size_t n) {
    return random() % n;
  }

  std::string exchange() {
    static const std::array<const char*, 4> names{"E", "F", "G", "clash"};
    return names[below(names.size())];
  }

  std::string key() {
    return std::string(1, static_cast<char>('a' + below(3)));
  }

  void fail_sometimes() {
    f.broker.fault = [this](const amqp::operation& x) {
      static constexpr std::array codes{ec::access_refused, ec::not_found, ec::precondition_failed,
                                        ec::resource_locked, ec::syntax_error};
      // To end something is never refused.
      if (std::holds_alternative<amqp::unbind_queue>(x)
          || std::holds_alternative<amqp::cancel_consumer>(x))
        return ec::none;
      return below(8) == 0 ? codes[below(codes.size())] : ec::none;
    };
  }

  void change_wishes() {
    if (wishes.size() < 2 || below(3) == 0) {
      const auto id = wishes.size() < 6 && below(2) == 0 ? ++last_id : any();
      if (id > 0 && (id == last_id || wishes.count(id) > 0)) {
        const auto e = exchange();
        const auto k = key();
        wishes[id].emplace(e, k);
        f.want(id, e, k);
      }
    } else if (const auto id = any(); below(3) == 0) {
      wishes.erase(id);
      f.unwant(id);
    } else {
      const auto [e, k] = *wishes[id].begin();
      wishes[id].erase({e, k});
      if (wishes[id].empty())
        wishes.erase(id);
      f.unwant(id, e, k);
    }
  }

  amqp::consumer_id any() {
    return wishes.empty()
               ? 0
               : std::next(wishes.begin(), static_cast<int>(below(wishes.size())))->first;
  }

  void disturb() {
    switch (below(4)) {
    case 0:
      if (up)
        f.down();
      else
        f.up();
      up = !up;
      break;
    case 1:
      if (!f.broker.queues.empty())
        f.broker.delete_queue(
            std::next(f.broker.queues.begin(), static_cast<int>(below(f.broker.queues.size())))
                ->first);
      break;
    case 2:
      if (up) {
        f.broker.drop_consumers();
        f.broker.events.emplace_back(consumers_lost{});
      }
      break;
    default:
      f.x.retry();
      f.follow();
    }
  }

  void step() {
    const auto choice = below(40);
    if (choice < 4)
      change_wishes();
    else if (choice == 4)
      disturb();
    else if (const auto channel = below(3); channel == 2 && !f.broker.events.empty())
      f.deliver();
    else if (channel < 2 && !f.broker.channels[channel].empty())
      f.broker.serve(channel);
  }

  void calm() {
    f.heal();
    if (!up)
      f.up();
    up = true;
    f.run();
    for (auto i = 0; i < 5 && !f.x.refused().empty(); ++i) {
      f.x.retry();
      f.follow();
      f.run();
    }
  }

  void check() {
    CAF_REQUIRE(f.x.refused().empty());
    CAF_REQUIRE(f.x.exchanges_settled());
    CAF_REQUIRE_EQUAL(f.x.running(), wishes.size());
    CAF_REQUIRE_EQUAL(f.broker.consumers.size(), wishes.size());
    for (auto& [id, bindings] : wishes) {
      const auto i = f.broker.consumers.find(id);
      CAF_REQUIRE(i != f.broker.consumers.end());
      CAF_REQUIRE(f.broker.queues[i->second].bindings == bindings);
      CAF_REQUIRE(f.bound[id] == bindings);
    }
  }

  fixture& f;
  std::mt19937 random;
  known_bindings wishes;
  amqp::consumer_id last_id = 0;
  bool up = false;
};

} // namespace

CAF_TEST(broker and ledger agree whenever it is calm) {
  for (auto seed = 1u; seed <= 30; ++seed) {
    fixture f;
    storm weather{f, seed};
    for (auto day = 0; day < 40; ++day) {
      weather.fail_sometimes();
      for (auto step = 0; step < 200; ++step)
        weather.step();
      CAF_MESSAGE("seed " << seed << ", day " << day);
      weather.calm();
      weather.check();
    }
  }
}

CAF_TEST_FIXTURE_SCOPE_END()
