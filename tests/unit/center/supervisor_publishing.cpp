#define CAF_SUITE supervisor.publishing

#include "unit/center/supervisor_fixture.hpp"

using namespace actors;
using namespace actors::testing;

// Publications in good order: what waits, its order, its place, and the links it goes by.

CAF_TEST_FIXTURE_SCOPE(supervisor_publishing_tests, supervisor_fixture)

CAF_TEST(publications wait in the outbox while the link is down and are sent in order) {
  start();
  auto first = publish(message("k1"));
  auto second = publish(message("k2"));
  bring_up(publishing());
  CAF_CHECK(keys(publishing()) == (strings{"k1", "k2"}));
  CAF_CHECK(!first->published);
  publishing().events->confirmed({{1, true}});
  sched.run();
  CAF_CHECK(first->published);
  CAF_CHECK(!second->published);
}

CAF_TEST(what the broker has not confirmed is sent again ahead of newer messages) {
  start_up();
  auto first = publish(message("k1"));
  auto second = publish(message("k2"));
  publishing().events->confirmed({{1, true}});
  publishing().events->down({ec::connection_lost, "gone"});
  sched.run();
  auto third = publish(message("k3"));
  advance(0ms);
  auto& again = *links.at(2);
  bring_up(again);
  CAF_CHECK(keys(again) == (strings{"k2", "k3"}));
  CAF_CHECK(again.published[0].properties.message_id
            == publishing().published[1].properties.message_id);
  again.events->confirmed({{2, true}, {3, true}});
  sched.run();
  CAF_CHECK(second->published && third->published);
}

CAF_TEST(messages wait a moment at most for others whose exchanges are not there yet) {
  start_up();
  publish(message("k"));
  settle(publishing());
  publishing().published.clear();
  publish(message("new", "New"));
  publish(message("k1"));
  CAF_CHECK(keys(publishing()).empty());
  advance(250ms);
  CAF_CHECK(keys(publishing()) == (strings{"k1"}));
  publish(message("newer", "Newer"));
  publish(message("k2"));
  CAF_CHECK(keys(publishing()) == (strings{"k1", "k2"}));
  settle(publishing());
  CAF_CHECK_EQUAL(publishing().published.size(), 4u);
}

CAF_TEST(messages keep their order over exchanges that are there soon) {
  start_up();
  publish(message("new", "New"));
  publish(message("k"));
  settle(publishing());
  CAF_CHECK(keys(publishing()) == (strings{"new", "k"}));
}

CAF_TEST(every message carries its id and its place in its stream) {
  start_up();
  publish(message("k1"));
  publish(message("k2"));
  publish(message("k1"));
  auto& sent = publishing().published;
  CAF_REQUIRE_EQUAL(sent.size(), 3u);
  CAF_CHECK(sent[0].properties.position == (amqp::stream_position{77, 1}));
  CAF_CHECK(sent[1].properties.position == (amqp::stream_position{77, 1}));
  CAF_CHECK(sent[2].properties.position == (amqp::stream_position{77, 2}));
  CAF_CHECK_NOT_EQUAL(sent[0].properties.message_id, sent[1].properties.message_id);
}

CAF_TEST(a full outbox tells the publisher by its policy) {
  settings.config.outbox.each.max_messages = 1;
  start();
  auto kept = publish(message("k1"));
  auto refused = publish(message("k2"));
  CAF_CHECK(!kept->error);
  CAF_CHECK(code_of(refused->error) == ec::outbox_full);
}

CAF_TEST(drop_oldest tells the publisher of the dropped message) {
  settings.config.outbox.each.max_messages = 1;
  settings.config.outbox.each.overflow = overflow_policy::drop_oldest;
  start();
  auto dropped = publish(message("k1"));
  auto kept = publish(message("k2"));
  CAF_CHECK(code_of(dropped->error) == ec::outbox_dropped);
  bring_up(publishing());
  CAF_CHECK(keys(publishing()) == strings{"k2"});
  CAF_CHECK(!kept->error);
}

CAF_TEST(nothing is published while the broker blocks and consuming goes on) {
  start_up();
  publishing().events->blocked("low on memory");
  sched.run();
  publish(message("k1"));
  CAF_CHECK(publishing().published.empty());
  want(1, "q", "#");
  CAF_CHECK_EQUAL(consuming().requests.size(), 1u);
  publishing().events->unblocked();
  sched.run();
  CAF_CHECK_EQUAL(publishing().published.size(), 1u);
}

CAF_TEST(the window bounds what is on the wire) {
  settings.config.outbox.window = 2;
  start_up();
  for (auto key : {"k1", "k2", "k3"})
    publish(message(key));
  CAF_CHECK(keys(publishing()) == (strings{"k1", "k2"}));
  publishing().events->confirmed({{1, true}});
  sched.run();
  CAF_CHECK(keys(publishing()) == (strings{"k1", "k2", "k3"}));
}

CAF_TEST(an exchange is declared before the first message to it is sent) {
  start_up();
  publish(message("k1", "Funding"));
  CAF_CHECK(publishing().published.empty());
  CAF_CHECK(names<amqp::declare_exchange>(publishing()) == strings{"Funding"});
  settle(publishing());
  CAF_CHECK_EQUAL(publishing().published.size(), 1u);
}

// The exchange may have been deleted, and is declared again.
CAF_TEST(an exchange that is gone is declared again before anybody is blamed) {
  start_up();
  auto answer = publish(message("k1"));
  const failure gone{ec::not_found, "NOT_FOUND - no exchange 'Trade' in vhost '/' (404)"};
  publishing().events->channel_closed({amqp::channel::publishing, gone});
  sched.run();
  CAF_CHECK(!answer->error);
  CAF_CHECK(names<amqp::declare_exchange>(publishing()).size() > 0);
  settle(publishing());
  CAF_CHECK(keys(publishing()) == (strings{"k1", "k1"}));
  publishing().events->channel_closed({amqp::channel::publishing, gone});
  sched.run();
  CAF_CHECK(code_of(answer->error) == ec::not_found);
}

CAF_TEST(a connection that is closed because of a message costs nobody a wait) {
  settings.config.endpoints.resize(1);
  start_up_trading();
  auto good = publish(message("k1"));
  auto bad = publish(message("k2"));
  const failure fault{ec::internal_error, "the broker closed the connection: 541"};
  // Both again, by halves: the first is taken, the second ends the link for the second time.
  publishing().events->down(fault);
  sched.run();
  advance(0ms);
  CAF_REQUIRE_EQUAL(links.size(), 3u); // at once
  auto& second = *links[2];
  bring_up(second);
  CAF_CHECK(keys(second) == strings{"k1"});
  second.events->confirmed({{2, true}});
  sched.run();
  CAF_CHECK(good->published);
  CAF_CHECK(keys(second) == (strings{"k1", "k2"}));
  second.events->down(fault);
  sched.run();
  CAF_CHECK(code_of(bad->error) == ec::in_doubt); // how far had it come?
  CAF_CHECK(text_of(bad->error).find(fault.text) != std::string::npos);
  advance(0ms);
  CAF_REQUIRE_EQUAL(links.size(), 4u);
  // A broker that refuses one message after the other has a fault of its own.
  auto next = publish(message("k3"));
  bring_up(*links[3]);
  links[3]->events->down(fault);
  sched.run();
  advance(0ms);
  CAF_CHECK_EQUAL(links.size(), 4u);
  CAF_CHECK(!next->error);
}

// As RabbitMQ does for good on a channel that met a quorum queue without a leader.
CAF_TEST(a link by which all messages are rejected is replaced) {
  start_up();
  auto reject = [this](std::uint64_t id) {
    publish(message("k"));
    links.back()->events->confirmed({{id, false}});
    sched.run();
  };
  reject(1);
  advance(1'900ms);
  reject(2);
  CAF_CHECK(!publishing().closing);
  advance(100ms);
  reject(3);
  CAF_REQUIRE(publishing().closing);
  publishing().events->down({});
  sched.run();
  advance(0ms);
  CAF_REQUIRE_EQUAL(links.size(), 3u);
  // If the next one is no better, it is not replaced as fast.
  bring_up(*links[2]);
  reject(4);
  advance(3'900ms);
  reject(5);
  CAF_CHECK(!links[2]->closing);
  advance(100ms);
  reject(6);
  CAF_CHECK(links[2]->closing);
}

// RabbitMQ forgets the answers to what was on its way to a quorum queue when that was
// deleted.
CAF_TEST(a link that leaves a message without an answer is replaced) {
  start_up();
  auto forgotten = publish(message("k1"));
  for (std::uint64_t id = 2; id <= 4; ++id) {
    publish(message("k2"));
    publishing().events->confirmed({{id, true}});
    advance(14s);
  }
  CAF_CHECK_EQUAL(links.size(), 2u);
  advance(20s);
  advance(250ms);
  CAF_REQUIRE_EQUAL(links.size(), 3u);
  bring_up(*links[2]);
  CAF_REQUIRE_EQUAL(links.size(), 4u);
  auto& again = *links[3]; // the one apart
  bring_up(again);
  CAF_CHECK(keys(again) == strings{"k1"});
  again.events->confirmed({{1, true}});
  sched.run();
  CAF_CHECK(forgotten->published);
}

CAF_TEST(a broker that answers in time keeps its link however much is published) {
  start_up();
  for (std::uint64_t id = 1; id <= 50; ++id) {
    publish(message("k"));
    advance(5s);
    publishing().events->confirmed({{id, true}});
  }
  sched.run();
  CAF_CHECK_EQUAL(links.size(), 2u);
}

// It says that it takes nothing: that is no forgetting.
CAF_TEST(a blocked broker has all the time) {
  start_up();
  publish(message("k"));
  publishing().events->blocked("low on memory");
  for (auto i = 0; i < 10; ++i)
    advance(30s);
  CAF_CHECK_EQUAL(links.size(), 2u);
}

CAF_TEST(a link by which some messages are rejected is kept) {
  start_up();
  for (std::uint64_t id = 1; id < 20; ++id) {
    publish(message("k"));
    publishing().events->confirmed({{id, id % 2 == 0}});
    sched.run();
    advance(1'500ms);
  }
  CAF_CHECK(!publishing().closing);
}

// The default exchange needs no declaration: it routes to the queue of that name.
CAF_TEST(a publication to the default exchange is sent as it is) {
  start_up();
  publish(message("some-queue", ""));
  CAF_CHECK(keys(publishing()) == strings{"some-queue"});
  CAF_CHECK(publishing().requests.empty());
}

CAF_TEST(what the supervisor has checked its link need not check again) {
  start_up();
  publish(message("k"));
  CAF_REQUIRE_EQUAL(publishing().published.size(), 1u);
  CAF_CHECK(publishing().published[0].checked);
  // Its time has become another one since.
  auto limited = message("k");
  limited.properties.expiration = 10s;
  publish(limited);
  CAF_REQUIRE_EQUAL(publishing().published.size(), 2u);
  CAF_CHECK(!publishing().published[1].checked);
}

CAF_TEST(without confirms nothing persistent is to be given back) {
  settings.config.publisher_confirms = false;
  start_up();
  auto x = message("k");
  x.properties.persistent = true;
  publish(x);
  CAF_REQUIRE_EQUAL(publishing().published.size(), 1u);
  CAF_CHECK(!publishing().published[0].mandatory);
}

CAF_TEST_FIXTURE_SCOPE_END()
