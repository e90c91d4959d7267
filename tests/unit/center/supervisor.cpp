#define CAF_SUITE supervisor

#include "unit/center/supervisor_fixture.hpp"

using namespace actors;
using namespace actors::testing;

CAF_TEST_FIXTURE_SCOPE(supervisor_tests, supervisor_fixture)

CAF_TEST(publishing and consuming have a connection each that declare the default exchanges) {
  start();
  CAF_REQUIRE_EQUAL(links.size(), 2u);
  for (auto& x : links) {
    x->events->up("RabbitMQ");
    sched.run();
    CAF_CHECK(names<amqp::declare_exchange>(*x) == (strings{"Orderbook", "Trade", "Kline"}));
  }
}

CAF_TEST(a consumer that is wanted late is bound at once) {
  start_up();
  want(1, "q", "binance.#");
  CAF_CHECK(names<amqp::declare_queue>(consuming()) == strings{"q"});
  settle(consuming());
  auto news = dispatcher.take<consumer_state>();
  CAF_REQUIRE_EQUAL(news.size(), 1u);
  CAF_CHECK(!news[0].error);
  CAF_CHECK_EQUAL(news[0].queue, "q");
}

CAF_TEST(the first loss is repaired at once and the next ones after growing delays) {
  settings.config.endpoints.resize(1);
  start_up();
  for (auto i = 0; i < 2; ++i) {
    advance(10s); // the link has settled
    const auto count = links.size();
    auto& lost = *links[i == 0 ? 0 : 2];
    lost.events->down({ec::connection_lost, "gone"});
    sched.run();
    advance(0ms);
    CAF_REQUIRE_EQUAL(links.size(), count + 1);
    links.back()->events->down({ec::connect_failed, "refused"});
    sched.run();
    advance(249ms);
    CAF_CHECK_EQUAL(links.size(), count + 1);
    advance(1ms);
    CAF_REQUIRE_EQUAL(links.size(), count + 2);
    links.back()->events->down({ec::connect_failed, "refused"});
    sched.run();
    advance(499ms);
    CAF_CHECK_EQUAL(links.size(), count + 2);
    advance(1ms);
    CAF_REQUIRE_EQUAL(links.size(), count + 3);
    if (i == 0) { // up again: the count of failures starts anew once it settles
      links[2] = links.back();
      links.resize(3);
      bring_up(*links[2]);
    }
  }
}

CAF_TEST(endpoints take turns and a refused login is not retried fast) {
  start();
  CAF_CHECK(consuming().where.host == "a");
  consuming().events->down({ec::login_refused, "ACCESS_REFUSED"});
  sched.run();
  advance(0ms);
  CAF_REQUIRE_EQUAL(links.size(), 3u);
  CAF_CHECK_EQUAL(links[2]->where.host, "b");
  links[2]->events->down({ec::login_refused, "ACCESS_REFUSED"});
  sched.run();
  advance(14'999ms);
  CAF_CHECK_EQUAL(links.size(), 3u);
  advance(1ms);
  CAF_REQUIRE_EQUAL(links.size(), 4u);
  CAF_CHECK_EQUAL(links[3]->where.host, "a");
}

CAF_TEST(an endpoint that keeps failing does not delay the other) {
  start();
  auto lose = [this](scripted_link& x) {
    x.events->down({ec::connection_lost, "gone"});
    sched.run();
    advance(0ms);
  };
  lose(consuming());
  for (auto i = 0; i < 5; ++i) {
    CAF_REQUIRE_EQUAL(links.back()->where.host, "b");
    bring_up(*links.back());
    advance(10s); // settled
    lose(*links.back());
    CAF_REQUIRE_EQUAL(links.back()->where.host, "a");
    lose(*links.back());
  }
}

CAF_TEST(the topology is replayed after a reconnect) {
  start_up();
  want(1, "q1", "a.#");
  want(2, "q2", "b.#");
  settle(consuming());
  dispatcher.take<consumer_state>();
  consuming().events->down({ec::connection_forced, "CONNECTION_FORCED"});
  sched.run();
  CAF_CHECK_EQUAL(dispatcher.take<consumers_lost>().size(), 1u);
  advance(0ms);
  bring_up(*links.at(2));
  auto news = dispatcher.take<consumer_state>();
  CAF_REQUIRE_EQUAL(news.size(), 2u);
  CAF_CHECK(!news[0].error && !news[1].error);
}

CAF_TEST(an exchange that is gone comes back with the bindings of our consumers) {
  start_up();
  want(1, "q", "k1");
  settle(consuming());
  auto answer = publish(message("k1"));
  publishing().published.clear();
  consuming().requests.clear();
  publishing().events->channel_closed(
      {amqp::channel::publishing, {ec::not_found, "NOT_FOUND - no exchange 'Trade'"}});
  sched.run();
  CAF_CHECK(names<amqp::declare_exchange>(publishing())
            == (strings{"Orderbook", "Trade", "Kline"}));
  CAF_CHECK(names<amqp::declare_exchange>(consuming()) == (strings{"Orderbook", "Trade", "Kline"}));
  consuming().answer_all();
  sched.run();
  CAF_REQUIRE_EQUAL(consuming().requests.size(), 1u);
  CAF_CHECK(std::holds_alternative<amqp::bind_queue>(consuming().requests[0].second));
  settle(publishing());
  CAF_CHECK(keys(publishing()) == strings{"k1"});
}

CAF_TEST(a link that stands is not connected twice) {
  start_up();
  caf::anon_send(sut, connect_atom_v, link_role::consuming);
  caf::anon_send(sut, connect_atom_v, link_role::publishing);
  sched.run();
  CAF_CHECK_EQUAL(links.size(), 2u);
}

CAF_TEST(the status says why a link is down) {
  start();
  consuming().events->down({ec::login_refused, "the broker refuses the login of user 'guest'"});
  sched.run();
  supervisor_status status;
  auto answer = self->request(sut, caf::infinite, status_atom_v);
  sched.run();
  answer.receive([&](supervisor_status& x) { status = std::move(x); },
                 [](const caf::error& err) { CAF_FAIL(text_of(err)); });
  CAF_CHECK(status.links.at(0).state == link_state::down);
  CAF_CHECK(status.links.at(0).last_code == ec::login_refused);
  CAF_CHECK(status.links.at(0).last_error == "the broker refuses the login of user 'guest'");
  CAF_CHECK(status.links.at(1).last_code == ec::none);
}

CAF_TEST(a refused consumer is reported and asked for again later) {
  start_up();
  want(1, "q", "#");
  auto id = consuming().requests.at(0).first;
  consuming().requests.clear();
  consuming().events->replied({id, {ec::resource_locked, "RESOURCE_LOCKED"}, {}});
  sched.run();
  auto news = dispatcher.take<consumer_state>();
  CAF_REQUIRE_EQUAL(news.size(), 1u);
  CAF_CHECK(news[0].error.code == ec::resource_locked);
  advance(settings.config.reconnect.limit - 1ms);
  CAF_CHECK(consuming().requests.empty());
  advance(1ms);
  CAF_CHECK(names<amqp::declare_queue>(consuming()) == strings{"q"});
  settle(consuming());
  news = dispatcher.take<consumer_state>();
  CAF_REQUIRE_EQUAL(news.size(), 1u);
  CAF_CHECK(!news[0].error);
}

CAF_TEST(consumers come back when their channel was closed) {
  start_up();
  want(1, "q", "#");
  settle(consuming());
  dispatcher.take<consumer_state>();
  consuming().events->channel_closed(
      {amqp::channel::deliveries, {ec::precondition_failed, "no"}, 1, {1}});
  settle(consuming());
  CAF_CHECK_EQUAL(dispatcher.take<consumers_lost>().size(), 1u);
  CAF_CHECK_EQUAL(dispatcher.take<consumer_state>().size(), 1u);
}

// -- one bad thing harms only itself ---------------------------------------------------------

CAF_TEST(only the consumers of a closed channel are told to be lost) {
  start_up();
  want(1, "q", "#");
  want(2, "r", "#");
  settle(consuming());
  dispatcher.take<consumer_state>();
  consuming().events->channel_closed(
      {amqp::channel::deliveries, {ec::precondition_failed, "no"}, 1, {2}});
  settle(consuming());
  auto lost = dispatcher.take<consumers_lost>();
  CAF_REQUIRE_EQUAL(lost.size(), 1u);
  CAF_CHECK(lost[0].consumers == std::vector<amqp::consumer_id>{2});
  auto news = dispatcher.take<consumer_state>();
  CAF_REQUIRE_EQUAL(news.size(), 1u);
  CAF_CHECK_EQUAL(news[0].id, 2u);
}

CAF_TEST(a broker limit costs one link and is known to the next) {
  settings.config.endpoints.resize(1);
  start_up();
  want(1, "q", "#");
  const auto asked = consuming().requests.at(0).first;
  amqp::broker_limits limits;
  limits.transient_queues = false;
  consuming().events->learned(limits);
  consuming().events->suspected({asked});
  consuming().events->down({ec::internal_error, "transient queues are denied (541)"});
  sched.run();
  advance(0ms);
  auto& next = *links.at(2);
  next.events->up("RabbitMQ");
  sched.run();
  next.answer_all();
  sched.run();
  CAF_REQUIRE_EQUAL(next.requests.size(), 1u);
  CAF_CHECK(std::get<amqp::declare_queue>(next.requests[0].second).spec.durable);
  settle(next);
  auto news = dispatcher.take<consumer_state>();
  CAF_REQUIRE_EQUAL(news.size(), 1u);
  CAF_CHECK(!news[0].error);
  // Another version may allow it again.
  next.events->down({ec::connection_lost, "gone"});
  sched.run();
  advance(10s);
  auto& upgraded = *links.at(3);
  upgraded.events->up("RabbitMQ 4");
  sched.run();
  upgraded.answer_all();
  sched.run();
  CAF_CHECK(!std::get<amqp::declare_queue>(upgraded.requests.at(0).second).spec.durable);
}

// Two versions by turns, each with a limit of its own.
CAF_TEST(a load balancer over two brokers costs no loop of connections) {
  settings.config.endpoints.resize(1);
  start();
  bring_up(publishing());
  auto* link = links.at(0).get();
  std::size_t at_once = 0;
  for (auto i = 0; i < 6; ++i) {
    const auto is_old = i % 2 == 0;
    amqp::broker_limits limits;
    limits.channels = is_old ? 8 : 0;
    limits.consumers_per_channel = is_old ? 0 : 10;
    const auto before = links.size();
    link->events->up(is_old ? "RabbitMQ 3.10" : "RabbitMQ 4.3");
    sched.run();
    link->events->learned(limits);
    link->events->down({ec::not_allowed, "a limit is reached"});
    sched.run();
    advance(0ms);
    at_once += links.size() - before;
    advance(20s);
    CAF_REQUIRE_EQUAL(links.size(), before + 1);
    link = links.back().get();
  }
  // The first time, and no more.
  CAF_CHECK_EQUAL(at_once, 1u);
  // Both are heeded, whoever answers.
  CAF_CHECK_EQUAL(link->where.known.channels, 8u);
  CAF_CHECK_EQUAL(link->where.known.consumers_per_channel, 10u);
}

CAF_TEST(a limit of messages is no reason for a later end of the link) {
  settings.config.endpoints.resize(1);
  start_up();
  want(1, "bad", "#");
  amqp::broker_limits limits;
  limits.message_size = 1'000;
  consuming().events->learned(limits);
  const auto fall = [this](scripted_link& x) {
    std::vector<amqp::request_id> suspects;
    for (auto& [id, what] : x.requests)
      suspects.push_back(id);
    x.events->suspected(std::move(suspects));
    x.events->down({ec::internal_error, "INTERNAL_ERROR (541)"});
    sched.run();
    advance(0ms);
  };
  fall(consuming());
  CAF_REQUIRE_EQUAL(links.size(), 3u);
  auto& alone = *links.at(2);
  alone.events->up("RabbitMQ");
  sched.run();
  while (names<amqp::declare_queue>(alone).empty() && alone.answer_all() > 0)
    sched.run();
  fall(alone);
  const auto news = dispatcher.take<consumer_state>();
  CAF_REQUIRE_EQUAL(news.size(), 1u);
  CAF_CHECK_EQUAL(news[0].error.text, "queue 'bad': INTERNAL_ERROR (541)");
}

CAF_TEST(who ends the link is found in two falls and works on a link apart) {
  settings.config.endpoints.resize(1);
  start_up();
  want(1, "good", "#");
  want(2, "bad", "#");
  settle(consuming());
  dispatcher.take<consumer_state>();
  const failure reason{ec::internal_error, "INTERNAL_ERROR (541)"};
  const auto request_of = [](const scripted_link& x, const std::string& queue) {
    for (auto& [id, what] : x.requests)
      if (auto y = std::get_if<amqp::declare_queue>(&what); y && y->spec.name == queue)
        return id;
    return amqp::request_id{0};
  };
  const auto fall = [&](scripted_link& x, std::vector<amqp::request_id> suspects) {
    x.events->suspected(std::move(suspects));
    x.events->down(reason);
    sched.run();
    advance(0ms);
  };
  consuming().events->down({ec::connection_lost, "gone"});
  sched.run();
  advance(0ms);
  // Both are asked for together, and both may be why.
  links.at(2)->events->up("RabbitMQ");
  sched.run();
  links.at(2)->answer_all();
  sched.run();
  fall(*links.at(2), {request_of(*links.at(2), "good"), request_of(*links.at(2), "bad")});
  // The next link is there at once, and each is asked for alone.
  CAF_REQUIRE_EQUAL(links.size(), 4u);
  auto& alone = *links.at(3);
  alone.events->up("RabbitMQ");
  sched.run();
  while (request_of(alone, "bad") == 0 && alone.answer_all() > 0)
    sched.run();
  CAF_CHECK_EQUAL(alone.requests.size(), 1u);
  fall(alone, {request_of(alone, "bad")});
  auto news = dispatcher.take<consumer_state>();
  CAF_REQUIRE(!news.empty());
  CAF_CHECK_EQUAL(news.back().id, 2u);
  CAF_CHECK_EQUAL(news.back().error.text, "queue 'bad': INTERNAL_ERROR (541)");
  CAF_CHECK(std::none_of(news.begin(), news.end(), [](auto& x) { return x.id == 1 && x.error; }));
  // The good one works from then on, whatever becomes of the other.
  CAF_REQUIRE_EQUAL(links.size(), 5u);
  bring_up(*links.at(4));
  news = dispatcher.take<consumer_state>();
  CAF_REQUIRE_EQUAL(news.size(), 1u);
  CAF_CHECK(news[0].id == 1 && !news[0].error);
  advance(20s);
  CAF_REQUIRE_EQUAL(links.size(), 6u);
  bring_up(*links.at(5));
  CAF_CHECK(links.at(4)->events != nullptr);
  news = dispatcher.take<consumer_state>();
  CAF_REQUIRE_EQUAL(news.size(), 1u);
  CAF_CHECK(news[0].id == 2 && !news[0].error);
  // It ends when nobody wants what is there.
  caf::anon_send(sut, unwant_atom_v, amqp::consumer_id{2});
  settle(*links.at(5));
  CAF_CHECK(links.at(5)->closing);
}

CAF_TEST(stopping twice is refused the second time) {
  start_up();
  publish(message("k1"));
  stop();
  auto second = stop();
  CAF_CHECK(code_of(second->error) == ec::shutting_down);
}

CAF_TEST(stopping while connecting ends with both links) {
  start();
  auto done = stop();
  CAF_CHECK(consuming().closing && publishing().closing);
  CAF_CHECK(!done->ok);
  consuming().events->down({});
  publishing().events->down({});
  sched.run();
  CAF_CHECK(done->ok);
}

// The deadline of a stage that ended early does not cut the next one short.
CAF_TEST(links have their time to close however long the outbox took) {
  start_up();
  publish(message("k1"));
  auto done = stop(500ms);
  advance(400ms);
  publishing().events->confirmed({{1, true}});
  sched.run();
  CAF_CHECK(publishing().closing);
  advance(299ms);
  CAF_CHECK(!done->ok);
  advance(1ms);
  CAF_CHECK(done->ok);
}

CAF_TEST(consumers are verified soon after their start and then now and then) {
  start_up();
  want(1, "q", "k");
  settle(consuming());
  CAF_CHECK(consuming().requests.empty());
  advance(1s);
  CAF_CHECK_EQUAL(names<amqp::declare_queue>(consuming()), strings{"q"});
  consuming().answer_all(); // with no consumer on the queue
  sched.run();
  advance(30s);
  CAF_CHECK_EQUAL(names<amqp::declare_queue>(consuming()), strings{"q"});
}

// It would slow down what it waits for.
CAF_TEST(nothing is verified during a replay) {
  start_up();
  want(1, "q", "k");
  settle(consuming());
  want(2, "r", "k"); // without an answer
  consuming().requests.clear();
  advance(1s);
  CAF_CHECK(consuming().requests.empty());
}

CAF_TEST(a wedged consumer is told and started anew) {
  start_up();
  want(1, "q", "k");
  settle(consuming());
  dispatcher.take<consumer_state>();
  for (auto i = 0; i < 2; ++i) {
    advance(30s);
    settle(consuming());
  }
  auto news = dispatcher.take<consumer_state>();
  CAF_CHECK(std::any_of(news.begin(), news.end(),
                        [](auto& x) { return x.error.code == ec::consumer_wedged; }));
  CAF_CHECK(!news.empty() && !news.back().error);
}

CAF_TEST(verification can be switched off) {
  settings.config.verify_interval = 0s;
  start_up();
  want(1, "q", "k");
  settle(consuming());
  advance(24h);
  CAF_CHECK(consuming().requests.empty());
}

// -- an earlier run ---------------------------------------------------------------------------

CAF_TEST(a fault of the supervisor costs its links and no subscription and no publication) {
  start_up();
  want(1, "q", "binance.#");
  settle(consuming());
  dispatcher.take<consumer_state>();
  publishing().throws = true;
  auto first = publish(message("k1"));
  CAF_CHECK(consuming().closing && publishing().closing);
  auto second = publish(message("k2"));
  consuming().events->down({});
  publishing().events->down({});
  sched.run();
  advance(1s);
  CAF_REQUIRE_EQUAL(links.size(), 4u);
  bring_up(*links[2]);
  bring_up(*links[3]);
  const auto news = dispatcher.take<consumer_state>();
  CAF_REQUIRE_EQUAL(news.size(), 1u);
  CAF_CHECK(!news[0].error);
  auto& again = links[2]->published.empty() ? *links[3] : *links[2];
  CAF_REQUIRE_EQUAL(again.published.size(), 2u);
  for (auto& x : again.published)
    again.events->confirmed({{x.id, true}});
  sched.run();
  CAF_CHECK(first->published);
  CAF_CHECK(second->published);
}

CAF_TEST(a link that cannot even be begun is tried again) {
  settings.start_connection = [usual = settings.start_connection, tries = 0](auto&&... xs) mutable {
    if (++tries == 1)
      throw std::runtime_error{"out of threads"};
    return usual(xs...);
  };
  start();
  advance(1s);
  CAF_CHECK_EQUAL(links.size(), 2u);
}

CAF_TEST_FIXTURE_SCOPE_END()
