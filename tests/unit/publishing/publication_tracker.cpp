#define CAF_SUITE publication_tracker

#include "publishing/publication_tracker.hpp"

#include "publication_tracker_fixture.hpp"

using namespace actors;
using namespace actors::testing;

// Into the outbox, to the link, and back with an answer.

CAF_TEST_FIXTURE_SCOPE(publication_tracker_tests, tracker_fixture)

CAF_TEST(what is published together leaves as one batch and each has its answer) {
  start_up();
  flush(); // that the start ordered
  wakes.clear();
  const auto first = publish();
  const auto second = publish();
  CAF_CHECK_EQUAL(count(wake::reason::flush), 1u);
  CAF_CHECK(sent.empty());
  CAF_CHECK(take_sent() == (batches{{usual, {first, second}}}));
  confirm({first});
  CAF_CHECK(is_published(first) && told.count(second) == 0);
  confirm({second});
  CAF_CHECK(is_published(second));
  CAF_CHECK(sut.is_drained());
}

CAF_TEST(nothing leaves without a link and all of it once there is one) {
  publish();
  publish();
  CAF_CHECK(take_sent().empty());
  CAF_CHECK_EQUAL(sut.waiting(), 2u);
  start_up();
  CAF_CHECK(take_sent() == (batches{{usual, {1, 2}}}));
}

CAF_TEST(what the broker had not confirmed goes by the next link ahead of what is newer) {
  start_up();
  publish();
  publish();
  flush();
  confirm({1});
  lose(usual);
  publish();
  sent.clear();
  bring_up(usual);
  CAF_CHECK(take_sent() == (batches{{usual, {2, 3}}}));
}

CAF_TEST(a blocked link sends nothing until it is free) {
  start_up();
  links.on_blocked(usual, "");
  publish();
  CAF_CHECK(take_sent().empty());
  links.on_unblocked(usual);
  sut.on_unblocked();
  CAF_CHECK(take_sent() == (batches{{usual, {1}}}));
}

CAF_TEST(a message waits for an exchange that is being declared but others not for long) {
  start_up();
  publish("Old");
  CAF_CHECK(take_sent() == (batches{{usual, {1}}}));
  answers = false;
  publish("New");
  publish("Old");
  wakes.clear();
  CAF_CHECK(take_sent().empty());
  CAF_REQUIRE_EQUAL(wakes.size(), 1u);
  CAF_CHECK(wakes[0].after == 250ms);
  pass(250ms);
  CAF_CHECK(take_sent() == (batches{{usual, {3}}}));
}

CAF_TEST(a message to an exchange that the broker refuses is told why) {
  start_up();
  answers = false;
  const auto id = publish();
  // The exchange cannot be declared, nor is it there.
  for (amqp::request_id i = 1; i < 4; ++i)
    links.on_reply({(amqp::request_id{1} << 62) + i, {ec::access_refused, "no right"}, {}});
  carry_out();
  CAF_CHECK(take_sent().empty());
  CAF_CHECK(code_of(id) == ec::access_refused);
  CAF_CHECK(told[id].text.starts_with("publish to Trade:k: "));
}

CAF_TEST(a message is refused that can never be sent) {
  start_up();
  auto x = message(0);
  x.exchange = std::string(300, 'x');
  CAF_CHECK_EQUAL(publish(std::move(x)), 0u);
  CAF_CHECK(last_refusal.code == ec::invalid_argument);
  CAF_CHECK(has_line("message not published: "));
  CAF_CHECK_EQUAL(sut.status().rejected, 1u);
  CAF_CHECK_EQUAL(publish(), 1u); // it has cost no id
}

CAF_TEST(once the links stop nothing new is taken) {
  start_up();
  links.stop();
  publish();
  CAF_CHECK(last_refusal.code == ec::shutting_down);
}

CAF_TEST(a place in a stream that was refused at once is no gap) {
  outbox_limits limits;
  limits.each.max_messages = 1;
  tracker_fixture x{{.outbox = limits}};
  x.start_up();
  x.publish();
  x.publish();
  CAF_CHECK(x.code_of(2) == ec::outbox_full);
  CAF_CHECK(x.has_line("the outbox is full of messages to exchange 'Trade' (policy reject)"));
  x.flush();
  x.confirm({1});
  x.publish();
  x.flush();
  CAF_CHECK_EQUAL(x.last_sent.at(0).properties.position->sequence, 2u);
}

CAF_TEST(a message that a newer one replaces is told so and is no line in the log) {
  outbox_limits limits;
  limits.each.overflow = overflow_policy::latest_per_key;
  tracker_fixture x{{.outbox = limits}};
  x.publish();
  x.publish();
  CAF_CHECK(x.code_of(1) == ec::outbox_dropped);
  CAF_CHECK(x.told[1].text.find("a newer message has taken its place") != std::string::npos);
  CAF_CHECK(x.lines.empty());
}

CAF_TEST(the time is needed only where it may matter) {
  start_up_trading();
  CAF_CHECK(!sut.heeds_time());
  CAF_CHECK(!sut.heeds_time(message(0)));
  CAF_CHECK(!sut.heeds_time({{7, true}}));
  CAF_CHECK(sut.heeds_time({{7, false}}));
  auto limited = message(0);
  limited.properties.expiration = 1s;
  CAF_CHECK(sut.heeds_time(limited));
  publish(limited);
  CAF_CHECK(sut.heeds_time());
}

// -- what time brings -------------------------------------------------------------------------

CAF_TEST(a message that expires before it could be sent is told) {
  auto limited = message(0);
  limited.properties.expiration = 1s;
  const auto id = publish(limited);
  CAF_CHECK_EQUAL(count(wake::reason::expire), 1u);
  pass(999ms);
  sut.expire();
  carry_out();
  CAF_CHECK_EQUAL(told.count(id), 0u);
  CAF_CHECK_EQUAL(count(wake::reason::expire), 2u);
  pass(1ms);
  sut.expire();
  carry_out();
  CAF_CHECK(code_of(id) == ec::expired);
  CAF_CHECK_EQUAL(count(wake::reason::expire), 2u); // nothing is left that may
  CAF_CHECK_EQUAL(sut.status().dropped, 1u);
}

CAF_TEST(a persistent message that no queue takes is tried until bindings had their time) {
  start_up();
  sut.probe(); // the look that the start ordered
  carry_out();
  auto x = message(0);
  x.properties.persistent = true;
  const auto id = publish(x);
  CAF_CHECK(take_sent() == (batches{{usual, {id}}}));
  const auto give_back = [&] {
    sut.on_returned({{ec::no_route, "NO_ROUTE"}, "Trade", "k", last_sent.at(0).properties});
    confirm({id});
  };
  give_back();
  CAF_CHECK(has_line("no queue takes a persistent message"));
  CAF_CHECK_EQUAL(told.count(id), 0u);
  wakes.clear();
  pass(44s);
  sut.probe();
  carry_out();
  CAF_CHECK_EQUAL(count(wake::reason::probe), 1u);
  CAF_CHECK(take_sent() == (batches{{usual, {id}}}));
  give_back();
  pass(1s);
  sut.probe();
  carry_out();
  CAF_CHECK(has_line("1 persistent messages have found no queue for 45000 ms"));
  CAF_CHECK_EQUAL(count(wake::reason::probe), 1u);
  flush();
  give_back();
  CAF_CHECK(told.count(id) == 1 && told[id]);
}

// -- what the broker rejects or the link cannot send ------------------------------------------

CAF_TEST(a message that the broker could not take is sent once more and then told) {
  start_up_trading();
  const auto id = publish();
  flush();
  wakes.clear();
  confirm({id}, false);
  CAF_CHECK_EQUAL(told.count(id), 0u);
  CAF_REQUIRE_EQUAL(wakes.size(), 1u);
  CAF_CHECK(wakes[0].after == 250ms);
  pass(250ms);
  sent.clear();
  CAF_CHECK(take_sent() == (batches{{usual, {id}}}));
  confirm({id}, false);
  CAF_CHECK(code_of(id) == ec::publish_rejected);
}

CAF_TEST(a link by which the broker rejects all is closed for another) {
  start_up_trading();
  for (int i = 0; i < 20; ++i) {
    const auto id = publish("E" + std::to_string(i));
    flush();
    confirm({id}, false);
    CAF_CHECK_EQUAL(closed.empty(), i < 20);
    pass(100ms);
  }
  const auto id = publish("last");
  flush();
  confirm({id}, false);
  CAF_CHECK(closed == std::vector{usual});
  CAF_CHECK(has_line("publishing link: the broker has rejected all messages for 2000 ms"));
}

CAF_TEST(a message that the link cannot send is told and its place is no gap) {
  start_up_trading();
  const auto id = publish();
  flush();
  const auto place = last_sent.at(0).properties.position;
  sut.on_refused(id, {ec::limit_exceeded, "its headers fit no frame"});
  carry_out();
  CAF_CHECK(code_of(id) == ec::limit_exceeded);
  publish();
  flush();
  CAF_CHECK(last_sent.at(0).properties.position == place);
}

// -- an earlier run and the end -----------------------------------------------------------------

CAF_TEST(what an earlier run could not send goes first) {
  links.want_for_former(exchange_named("Trade"));
  sut.send_first({message(0), message(0)});
  carry_out();
  publish();
  CAF_CHECK(has_line("sending 2 messages of an earlier run"));
  CAF_CHECK_EQUAL(sut.status().published, 3u);
  start_up();
  CAF_CHECK(take_sent() == (batches{{usual, {1, 2, 3}}}));
}

CAF_TEST(what an earlier run could not send waits for room and is not dropped) {
  outbox_limits limits;
  limits.each.max_messages = 1;
  tracker_fixture x{{.outbox = limits}};
  x.links.want_for_former(exchange_named("Trade"));
  x.sut.send_first({message(0), message(0)});
  x.start_up();
  CAF_CHECK_EQUAL(x.sut.status().waiting, 2u);
  CAF_CHECK(x.take_sent() == (batches{{usual, {1}}}));
  CAF_CHECK(!x.sut.is_drained());
  x.confirm({1});
  CAF_CHECK(x.take_sent() == (batches{{usual, {2}}}));
  x.confirm({2});
  CAF_CHECK(x.sut.is_drained());
}

CAF_TEST(at the end all that is unsent is given back and its publishers are told) {
  start_up_trading();
  const auto sent_one = publish();
  flush();
  lose(usual);
  const auto waiting_one = publish();
  const auto unsent = sut.take_unsent();
  carry_out();
  CAF_CHECK(ids_of(unsent) == (ids{sent_one, waiting_one}));
  CAF_CHECK(code_of(sent_one) == ec::in_doubt);
  CAF_CHECK(code_of(waiting_one) == ec::shutting_down);
  CAF_CHECK(has_line("stopped with 2 messages unsent"));
  CAF_CHECK(sut.is_drained());
}

CAF_TEST(messages of many routing keys that come back are one line of the log) {
  start_up_trading();
  for (auto key : {"a", "b", "c"})
    sut.on_returned({{ec::no_route, "NO_ROUTE"}, "Trade", key, {}});
  std::set<std::string> entities;
  for (auto& news : sut.news)
    if (auto* line = std::get_if<log_line>(&news); line && line->kind.name() == "message came back")
      entities.insert(line->entity);
  CAF_CHECK_EQUAL(entities.size(), 1u);
}

CAF_TEST_FIXTURE_SCOPE_END()
