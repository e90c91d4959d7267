#define CAF_SUITE supervisor.unsent

#include "unit/center/supervisor_fixture.hpp"

using namespace actors;
using namespace actors::testing;

// What is unsent when an event center stops, and at its next start.

CAF_TEST_FIXTURE_SCOPE(supervisor_unsent_tests, supervisor_fixture)

CAF_TEST(a stop tells of what was on the wire that it is in doubt) {
  start_up();
  auto sent = publish(message("k1"));
  publishing().events->blocked("low on memory");
  sched.run();
  auto unsent = publish(message("k2"));
  auto done = stop();
  advance(500ms);
  advance(300ms);
  CAF_REQUIRE(done->ok);
  CAF_CHECK(code_of(sent->error) == ec::in_doubt);
  CAF_CHECK(code_of(unsent->error) == ec::shutting_down);
}

CAF_TEST(stopping sends what waits and closes both links) {
  start_up();
  publish(message("k1"));
  auto done = stop();
  CAF_CHECK(consuming().closing);
  CAF_CHECK(!publishing().closing);
  consuming().events->down({});
  publishing().events->confirmed({{1, true}});
  sched.run();
  CAF_CHECK(publishing().closing);
  publishing().events->down({});
  sched.run();
  CAF_REQUIRE(done->ok);
  CAF_CHECK_EQUAL(done->ok->unsent.size(), 0u);
}

CAF_TEST(stopping is bounded in time and counts what is lost) {
  start();
  auto lost = publish(message("k1"));
  auto done = stop();
  advance(500ms);
  advance(300ms);
  CAF_REQUIRE(done->ok);
  CAF_CHECK_EQUAL(done->ok->unsent.size(), 1u);
  CAF_CHECK(code_of(lost->error) == ec::shutting_down);
}

CAF_TEST(stopping connects once more for what waits in the outbox) {
  start_up();
  publishing().events->down({ec::connection_lost, "gone"});
  sched.run();
  auto waiting = publish(message("k1"));
  auto done = stop(10s);
  advance(0ms);
  CAF_REQUIRE_EQUAL(links.size(), 3u);
  consuming().events->down({});
  sched.run();
  advance(0ms);
  CAF_REQUIRE_EQUAL(links.size(), 3u); // the other link has nothing to do
  auto& again = *links.back();
  bring_up(again);
  CAF_CHECK(keys(again) == strings{"k1"});
  again.events->confirmed({{1, true}});
  sched.run();
  CAF_CHECK(waiting->published);
  CAF_CHECK(again.closing);
  again.events->down({});
  sched.run();
  CAF_REQUIRE(done->ok);
  CAF_CHECK_EQUAL(done->ok->unsent.size(), 0u);
}

CAF_TEST(what an earlier run could not send goes first and keeps its place) {
  auto old = message("old");
  old.properties.message_id = "theirs";
  old.properties.position = amqp::stream_position{3, 9};
  settings.unsent = {old};
  start();
  publish(message("new"));
  bring_up(consuming());
  bring_up(publishing());
  CAF_REQUIRE(keys(publishing()) == (strings{"old", "new"}));
  auto& first = publishing().published[0].properties;
  CAF_CHECK_EQUAL(first.message_id, "theirs");
  CAF_CHECK((first.position == amqp::stream_position{3, 9}));
  CAF_CHECK((publishing().published[1].properties.position == amqp::stream_position{77, 1}));
}

CAF_TEST(a passing refusal costs no message of an earlier run its place in the file) {
  auto order = message("order");
  order.mandatory = order.properties.persistent = true;
  settings.unsent = {message("denied"), order, message("rejected"), message("taken"),
                     message("impossible")};
  settings.config.outbox.restore_timeout = 1s;
  start_up();
  auto& link = publishing();
  CAF_REQUIRE_EQUAL(link.published.size(), 5u);
  // The order waits for its consumer, though it is mandatory.
  for (auto i = 0; i < 2; ++i) {
    link.events->returned({{ec::no_route, "NO_ROUTE"},
                           "Trade",
                           "order",
                           link.published.at(i == 0 ? 1 : 5).properties});
    link.events->confirmed({{2, true}});
    sched.run();
    if (i == 0)
      CAF_CHECK_EQUAL(link.published.size(), 5u);
    advance(2s);
  }
  CAF_CHECK_EQUAL(link.published.size(), 6u);
  caf::anon_send(sut, publication_refused{1, {ec::access_refused, "ACCESS_REFUSED"}});
  link.events->confirmed({{3, false}, {4, true}});
  caf::anon_send(sut, publication_refused{5, {ec::invalid_argument, "its headers fit no frame"}});
  sched.run();
  advance(250ms);
  link.events->confirmed({{3, false}});
  sched.run();
  auto done = stop();
  link.events->down({});
  consuming().events->down({});
  sched.run();
  CAF_REQUIRE(done->ok);
  strings left;
  for (auto& x : done->ok->unsent)
    left.push_back(x.routing_key);
  CAF_CHECK(left == (strings{"denied", "order", "rejected"}));
}

CAF_TEST(what an earlier run could not send finds room however full the outbox is) {
  for (auto policy : {overflow_policy::reject, overflow_policy::drop_newest,
                      overflow_policy::drop_oldest, overflow_policy::latest_per_key}) {
    settings.config.outbox.each = {.max_messages = 2, .overflow = policy};
    settings.unsent = {message("a"), message("b"), message("c"), message("d")};
    links.clear();
    start_up();
    CAF_CHECK(keys(publishing()) == (strings{"a", "b"}));
    publishing().events->confirmed({{1, true}, {2, true}});
    sched.run();
    CAF_CHECK(keys(publishing()) == (strings{"a", "b", "c", "d"}));
    publishing().events->confirmed({{3, true}, {4, true}});
    sched.run();
    caf::anon_send_exit(sut, caf::exit_reason::kill);
    sched.run();
    for (auto& x : links)
      x->events = nullptr;
  }
}

CAF_TEST(what could not be sent is handed back in order) {
  start();
  for (auto key : {"a", "b"})
    publish(message(key));
  auto done = stop(100ms);
  advance(100ms);
  advance(300ms);
  CAF_REQUIRE(done->ok);
  CAF_REQUIRE_EQUAL(done->ok->unsent.size(), 2u);
  CAF_CHECK_EQUAL(done->ok->unsent[0].routing_key, "a");
  CAF_CHECK(done->ok->unsent[0].properties.position.has_value());
}

CAF_TEST_FIXTURE_SCOPE_END()
