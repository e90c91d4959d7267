#define CAF_SUITE supervisor.publishing

#include "unit/center/supervisor_fixture.hpp"

using namespace actors;
using namespace actors::testing;

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

CAF_TEST(a refused exchange refuses its messages and no others) {
  start_up();
  auto refused = publish(message("k1", "Secret"));
  auto& [id, what] = publishing().requests.at(0);
  publishing().events->replied({id, {ec::access_refused, "ACCESS_REFUSED"}, {}});
  publishing().requests.clear();
  sched.run();
  auto check = publishing().requests.at(0).first; // passively: it may exist
  publishing().events->replied({check, {ec::not_found, "NOT_FOUND"}, {}});
  publishing().requests.clear();
  sched.run();
  CAF_CHECK(code_of(refused->error) == ec::access_refused);
  publish(message("k2"));
  CAF_CHECK(keys(publishing()) == strings{"k2"});
}

CAF_TEST(a publication that the broker forbids does not stop the others) {
  start_up_trading();
  auto allowed = publish(message("k1"));
  auto forbidden = publish(message("k2", "Orderbook"));
  publishing().published.clear();
  publishing().events->channel_closed(
      {amqp::channel::publishing,
       {ec::access_refused,
        "ACCESS_REFUSED - access to exchange 'Orderbook' in vhost '/' refused"}});
  sched.run();
  CAF_CHECK(keys(publishing()) == strings{"k1"}); // it may have been taken, or not
  publishing().events->confirmed({{2, true}});
  sched.run();
  CAF_CHECK(allowed->published);
  CAF_CHECK(code_of(forbidden->error) == ec::access_refused);
  // From now on it does not cost the channel.
  auto third = publish(message("k3", "Orderbook"));
  auto fourth = publish(message("k4"));
  CAF_CHECK(code_of(third->error) == ec::access_refused);
  CAF_CHECK(keys(publishing()) == (strings{"k1", "k4"}));
  CAF_CHECK((publishing().published[1].properties.position == amqp::stream_position{77, 1}));
  // After a while one is tried.
  publishing().events->confirmed({{4, true}});
  advance(settings.config.reconnect.limit);
  auto fifth = publish(message("k5", "Orderbook"));
  auto sixth = publish(message("k6", "Orderbook"));
  CAF_CHECK(code_of(sixth->error) == ec::access_refused);
  bring_up(apart());
  CAF_CHECK(keys(apart()) == strings{"k5"});
  confirm(apart(), apart().published.back().id);
  CAF_CHECK(fifth->published);
  CAF_CHECK(apart().closing);
  publish(message("k7", "Orderbook"));
  CAF_CHECK(keys(publishing()).back() == "k7");
}

CAF_TEST(a routing key that is forbidden does not refuse its exchange) {
  start_up();
  auto forbidden = publish(message("secret"));
  publishing().events->channel_closed(
      {amqp::channel::publishing,
       {ec::access_refused, "ACCESS_REFUSED - access to topic 'secret' in exchange 'Trade' in "
                            "vhost '/' refused for user 'u' (403)"}});
  sched.run();
  CAF_CHECK(code_of(forbidden->error) == ec::access_refused);
  publishing().published.clear();
  auto again = publish(message("secret"));
  publish(message("open"));
  CAF_CHECK(code_of(again->error) == ec::access_refused);
  CAF_CHECK(keys(publishing()) == strings{"open"});
}

CAF_TEST(a message that is too large for the broker is refused by its size from then on) {
  start_up_trading();
  auto small = publish(message("small"));
  auto large = message("large");
  large.body = std::make_shared<const std::string>(2'001, 'x');
  auto refused = publish(large);
  for (auto i = 0; i < 2; ++i) {
    publishing().events->channel_closed(
        {amqp::channel::publishing,
         {ec::precondition_failed, "PRECONDITION_FAILED - message size 2001 is larger than "
                                   "configured max size 2000 (406)"}});
    sched.run();
    publishing().events->confirmed({{2, true}});
    sched.run();
  }
  CAF_CHECK(small->published);
  CAF_CHECK(code_of(refused->error) == ec::precondition_failed);
  publishing().published.clear();
  auto next = publish(large);
  CAF_CHECK(code_of(next->error) == ec::content_too_large);
  CAF_CHECK(publishing().published.empty());
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

// -- set aside ------------------------------------------------------------------------------

CAF_TEST(what may have ended the link is sent by the link apart and the rest goes on) {
  start_up_trading();
  publish(message("good"));
  publish(message("new", "New"));
  publish(message("bad", "Bad"));
  settle(publishing());
  publishing().published.clear();
  const failure fault{ec::internal_error, "INTERNAL_ERROR (541)"};
  publishing().events->channel_closed({amqp::channel::publishing, fault});
  sched.run();
  CAF_CHECK(keys(publishing()) == strings{"good"});
  publish(message("later", "Bad"));
  CAF_CHECK(keys(publishing()) == strings{"good"});
  bring_up(apart());
  CAF_CHECK(keys(apart()) == strings{"new"});
  confirm(apart(), 3);
  CAF_CHECK(keys(apart()) == (strings{"new", "bad"}));
  auto next = publish(message("next", "New"));
  CAF_CHECK(keys(publishing()) == (strings{"good", "next"}));
  apart().events->channel_closed({amqp::channel::publishing, fault});
  sched.run();
  CAF_CHECK_EQUAL(apart().publishing_generation, 2u);
  CAF_CHECK(keys(apart()) == (strings{"new", "bad", "later"}));
  confirm(apart(), 5);
  CAF_CHECK(apart().closing);
  publish(message("again", "Bad"));
  CAF_CHECK(keys(publishing()).back() == "again");
}

CAF_TEST(many exchanges that are denied cost the others one loss of the channel) {
  start_up_trading();
  publish(message("good"));
  for (auto i = 0; i < 50; ++i)
    publish(message("bad", "Denied" + std::to_string(i)));
  settle(publishing());
  publishing().published.clear();
  auto deny = [](auto& by, int i) {
    by.events->channel_closed(
        {amqp::channel::publishing,
         {ec::access_refused, "ACCESS_REFUSED - write access to exchange "
                              "'Denied"
                                  + std::to_string(i) + "' in vhost '/' refused"}});
  };
  deny(publishing(), 0);
  sched.run();
  CAF_CHECK(keys(publishing()) == strings{"good"});
  bring_up(apart());
  for (auto i = 1; i < 50; ++i) {
    deny(apart(), i);
    sched.run();
  }
  CAF_CHECK_EQUAL(apart().publishing_generation, 49u);
  CAF_CHECK_EQUAL(publishing().publishing_generation, 2u);
  CAF_CHECK(apart().closing);
}

CAF_TEST(an exchange whose message cost the link apart stays there until another was taken) {
  start_up_trading();
  for (auto key : {"k1", "k2", "k3", "k4"})
    publish(message(key, "New"));
  settle(publishing());
  const failure fault{ec::internal_error, "INTERNAL_ERROR (541)"};
  publishing().events->channel_closed({amqp::channel::publishing, fault});
  sched.run();
  publishing().published.clear();
  bring_up(apart());
  CAF_REQUIRE(keys(apart()) == (strings{"k1", "k2"})); // by halves
  confirm(apart(), 2);
  apart().events->down(fault); // because of k2
  sched.run();
  CAF_CHECK(keys(publishing()).empty());
  advance(0ms);
  bring_up(*links.at(3));
  CAF_CHECK(keys(*links[3]) == (strings{"k3", "k4"}));
  confirm(*links[3], 4);
  confirm(*links[3], 5);
  publish(message("k5", "New"));
  CAF_CHECK(keys(publishing()) == strings{"k5"});
}

// As RabbitMQ does with a stream that it has lost.
CAF_TEST(a routing key that costs the connection again and again costs it rarely) {
  settings.config.endpoints.resize(1);
  start_up_trading();
  confirm(publishing(), 1);
  const failure fault{ec::resource_error, "RESOURCE_ERROR - Stream not found (506)"};
  std::size_t next_link = 2;
  auto usual_losses = 0;
  auto losses = 0;
  auto broken = false;
  const auto work = [&](scripted_link& by) {
    settle(by);
    if (by.events && by.closing)
      by.events->down({});
    for (auto& x : std::exchange(by.published, {})) {
      if (!by.events)
        return;
      if (broken && x.routing_key == "bad") {
        losses += 1;
        usual_losses += by.where.connection_name.ends_with("publishing");
        return by.events->down(fault);
      }
      confirm(by, x.id);
    }
  };
  std::vector<decltype(publish(message("")))> good;
  std::vector<decltype(publish(message("")))> bad;
  for (auto i = 0; i < 240; ++i) { // a minute
    broken = i >= 4;
    good.push_back(publish(message("good")));
    bad.push_back(publish(message("bad", "Tape")));
    bad.push_back(publish(message("good", "Tape")));
    for (auto j = 0; j < 4; ++j) {
      for (; next_link < links.size(); ++next_link)
        bring_up(*links[next_link]);
      for (std::size_t n = 0; n < links.size(); ++n)
        if (links[n]->events && n != 0)
          work(*links[n]);
      advance(62ms);
    }
    if (i >= 8)
      CAF_CHECK(good[good.size() - 9]->published); // within 2 s
  }
  const auto refused = [](auto& x) { return code_of(x->error) == ec::resource_error; };
  const auto published = [](auto& x) { return x->published; };
  CAF_CHECK_EQUAL(std::count_if(bad.begin(), bad.end(), refused), 236);
  CAF_CHECK_EQUAL(std::count_if(bad.begin(), bad.end(), published), 244);
  CAF_CHECK_LESS_OR_EQUAL(usual_losses, 6);
  CAF_CHECK_LESS_OR_EQUAL(losses, 20);
}

CAF_TEST(a message that is to be sent again does not keep its exchange apart) {
  start_up_trading();
  publish(message("bad", "Bad"));
  settle(publishing());
  publishing().events->channel_closed({amqp::channel::publishing, {ec::internal_error, "541"}});
  sched.run();
  bring_up(apart());
  publish(message("k1", "New"));
  publish(message("k2", "New"));
  settle(publishing());
  publishing().published.clear();
  confirm(apart(), 2);
  CAF_REQUIRE(keys(apart()) == (strings{"bad", "k1", "k2"}));
  apart().events->confirmed({{3, true}, {4, false}});
  sched.run();
  advance(250ms);
  CAF_CHECK(keys(publishing()) == strings{"k2"});
  CAF_CHECK(apart().closing);
}

CAF_TEST(the link apart ends with what it is for) {
  start_up_trading();
  auto first = publish(message("k1", "Denied"));
  auto second = publish(message("k2", "Denied"));
  settle(publishing());
  publishing().events->channel_closed(
      {amqp::channel::publishing,
       {ec::access_refused, "ACCESS_REFUSED - access to exchange 'Denied' in vhost '/' refused"}});
  sched.run();
  bring_up(apart());
  CAF_CHECK(code_of(first->error) == ec::access_refused);
  CAF_CHECK(code_of(second->error) == ec::access_refused);
  CAF_CHECK(apart().published.empty());
  CAF_CHECK(apart().closing);
}

CAF_TEST(a link apart that was idle once is not connected faster when it is lost) {
  settings.config.endpoints.resize(1);
  start_up_trading();
  const failure fault{ec::internal_error, "541"};
  publish(message("k1", "Bad"));
  settle(publishing());
  publishing().events->channel_closed({amqp::channel::publishing, fault});
  sched.run();
  bring_up(apart());
  confirm(apart(), 2);
  apart().events->down({});
  sched.run();
  publish(message("k2", "Worse"));
  settle(publishing());
  publishing().events->channel_closed({amqp::channel::publishing, fault});
  sched.run();
  for (std::size_t life = 3; life <= 4; ++life) {
    CAF_REQUIRE_EQUAL(links.size(), life + 1);
    bring_up(*links[life]);
    links[life]->events->down({ec::connection_lost, "gone"});
    sched.run();
    advance(0ms);
  }
  CAF_CHECK_EQUAL(links.size(), 5u); // after a pause
}

CAF_TEST(nothing goes by the link apart while the publishing link is down) {
  start_up_trading();
  publish(message("bad", "Bad"));
  settle(publishing());
  publishing().events->down({ec::internal_error, "INTERNAL_ERROR (541)"});
  sched.run();
  advance(0ms);
  CAF_REQUIRE_EQUAL(links.size(), 3u); // which a user with two connections may have
  auto& again = *links[2];
  bring_up(again);
  CAF_REQUIRE_EQUAL(links.size(), 4u);
  again.events->down({ec::connection_lost, "gone"});
  sched.run();
  CAF_CHECK(links[3]->closing);
}

CAF_TEST(who is new while others are set aside is set aside as well) {
  start_up_trading();
  publish(message("bad", "Bad"));
  settle(publishing());
  publishing().events->channel_closed({amqp::channel::publishing, {ec::internal_error, "541"}});
  sched.run();
  publishing().published.clear();
  publish(message("k1"));
  publish(message("k2", "Newer"));
  settle(publishing());
  CAF_CHECK(keys(publishing()) == strings{"k1"});
  bring_up(apart());
  CAF_CHECK(keys(apart()) == strings{"bad"});
  confirm(apart(), 2);
  CAF_CHECK(keys(apart()) == (strings{"bad", "k2"}));
}

CAF_TEST(where there is no link apart the one for all finds out) {
  start_up_trading();
  auto bad = publish(message("bad", "Bad"));
  settle(publishing());
  const failure fault{ec::internal_error, "INTERNAL_ERROR (541)"};
  publishing().events->channel_closed({amqp::channel::publishing, fault});
  sched.run();
  publishing().published.clear();
  apart().events->down({ec::not_allowed, "connection limit (1) is reached"});
  sched.run();
  CAF_CHECK(keys(publishing()) == strings{"bad"});
  publishing().events->channel_closed({amqp::channel::publishing, fault});
  sched.run();
  CAF_CHECK(code_of(bad->error) == ec::in_doubt);
  publish(message("good"));
  CAF_CHECK(keys(publishing()).back() == "good");
}

CAF_TEST(stopping waits for what is set aside) {
  start_up_trading();
  auto bad = publish(message("bad", "Bad"));
  settle(publishing());
  publishing().events->channel_closed({amqp::channel::publishing, {ec::internal_error, "541"}});
  sched.run();
  auto answer = stop();
  bring_up(apart());
  confirm(apart(), 2);
  CAF_CHECK(bad->published);
  CAF_CHECK(apart().closing);
  for (auto& x : links)
    x->events->down({});
  sched.run();
  CAF_REQUIRE(answer->ok);
  CAF_CHECK(answer->ok->unsent.empty());
}

// -- what is refused ------------------------------------------------------------------------

CAF_TEST(a refused publication is answered with its reason) {
  start_up();
  auto answer = publish(message("k1"));
  caf::anon_send(sut, publication_refused{1, {ec::invalid_argument, "its headers fit no frame"}});
  sched.run();
  CAF_CHECK(code_of(answer->error) == ec::invalid_argument);
  CAF_CHECK(!publishing().closing);
}

// Its id may have come from a file, or from a user.
CAF_TEST(a message id that AMQP cannot carry is refused in one sentence) {
  start_up();
  auto x = message("k1");
  x.properties.message_id = std::string(300, 'x');
  CAF_CHECK(code_of(publish(x)->error) == ec::invalid_argument);
  CAF_CHECK(publishing().published.empty());
}

CAF_TEST(message ids are short however long the name of the process) {
  settings.config.server_id = std::string(250, 'x');
  start_up();
  publish(message("k1"));
  CAF_REQUIRE_EQUAL(publishing().published.size(), 1u);
  CAF_CHECK_LESS_OR_EQUAL(publishing().published[0].properties.message_id.size(), 255u);
}

CAF_TEST(a message that is refused at once is no gap in its stream) {
  settings.config.outbox.each.max_messages = 1;
  start();
  publish(message("k"));
  CAF_CHECK(code_of(publish(message("k"))->error) == ec::outbox_full);
  bring_up(publishing());
  publishing().events->confirmed({{1, true}});
  sched.run();
  publish(message("k"));
  CAF_REQUIRE_EQUAL(publishing().published.size(), 2u);
  CAF_CHECK((publishing().published[1].properties.position == amqp::stream_position{77, 2}));
}

CAF_TEST(a message that the link refuses is no gap in its stream) {
  start_up();
  publish(message("k"));
  publish(message("k"));
  caf::anon_send(sut, publication_refused{2, {ec::invalid_argument, "its headers fit no frame"}});
  publish(message("k"));
  CAF_REQUIRE_EQUAL(publishing().published.size(), 3u);
  CAF_CHECK((publishing().published[2].properties.position == amqp::stream_position{77, 2}));
}

CAF_TEST(messages to a refused exchange are no gap in their stream) {
  start_up();
  for (auto i = 0; i < 3; ++i)
    publish(message("k", "Secret"));
  for (auto code : {ec::access_refused, ec::not_found}) { // it is no more there than ours may be
    auto id = publishing().requests.at(0).first;
    publishing().requests.clear();
    publishing().events->replied({id, {code, "refused"}, {}});
    sched.run();
  }
  CAF_CHECK(publishing().published.empty());
  advance(settings.config.reconnect.limit);
  settle(publishing());
  publish(message("k", "Secret"));
  CAF_REQUIRE_EQUAL(publishing().published.size(), 1u);
  CAF_CHECK((publishing().published[0].properties.position == amqp::stream_position{77, 1}));
}

// Receivers would take it for a message of ours that they have seen.
CAF_TEST(a copy of a message without a place in a stream gets none) {
  start_up();
  auto x = message("queue.retry.1000", "");
  x.properties.headers = {{"x-la-exchange", std::string{"Trade"}}};
  publish(x);
  publish(x);
  auto& sent = publishing().published;
  CAF_REQUIRE_EQUAL(sent.size(), 2u);
  CAF_CHECK(!sent[0].properties.position);
  CAF_CHECK(sent[0].properties.headers != sent[1].properties.headers);
}

CAF_TEST(a message that was given back after a loss of the link is in doubt) {
  start_up();
  auto order = message("k1");
  order.mandatory = true;
  auto answer = publish(order);
  publishing().events->down({ec::connection_lost, "gone"});
  sched.run();
  advance(0ms);
  auto& again = *links.back();
  bring_up(again);
  auto& sent = again.published.at(0);
  again.events->returned(
      {{ec::no_route, "NO_ROUTE"}, sent.exchange, sent.routing_key, sent.properties});
  again.events->confirmed({{1, true}});
  sched.run();
  CAF_CHECK(code_of(answer->error) == ec::in_doubt);
}

CAF_TEST(persistent messages wait for their queue after a restart of the broker) {
  start_up();
  auto persistent = [](std::string key) {
    auto result = message(std::move(key));
    result.properties.persistent = true;
    return result;
  };
  publish(persistent("k"));
  publishing().events->confirmed({{1, true}});
  publishing().events->down({ec::connection_lost, "gone"});
  sched.run();
  advance(0ms);
  auto& again = *links.back();
  bring_up(again);
  auto waiting = publish(persistent("k"));
  auto return_last = [&] {
    auto& x = again.published.back();
    CAF_CHECK(x.mandatory);
    again.events->returned({{ec::no_route, "NO_ROUTE"}, x.exchange, x.routing_key, x.properties});
    again.events->confirmed({{x.id, true}});
    sched.run();
  };
  return_last();
  CAF_CHECK(!waiting->published);
  advance(250ms);
  CAF_CHECK_EQUAL(again.published.size(), 2u);
  again.events->confirmed({{2, true}});
  sched.run();
  CAF_CHECK(waiting->published);
  // That is bounded.
  publishing().events = nullptr;
  again.events->down({ec::connection_lost, "gone"});
  sched.run();
  advance(1s);
  auto& third = *links.back();
  bring_up(third);
  auto late = publish(persistent("k"));
  for (auto i = 0; i < 200 && !late->error; ++i) {
    auto& x = third.published.back();
    third.events->returned({{ec::no_route, "NO_ROUTE"}, x.exchange, x.routing_key, x.properties});
    third.events->confirmed({{x.id, true}});
    sched.run();
    advance(250ms);
  }
  CAF_CHECK(code_of(late->error) == ec::no_route);
  // Longer than another process takes to look after its bindings.
  CAF_CHECK(third.published.size() > 4u * 30);
}

CAF_TEST(persistent messages wait for their queue after a start) {
  start_up();
  auto x = message("k");
  x.properties.persistent = true;
  auto waiting = publish(x);
  auto& sent = publishing().published;
  publishing().events->returned(
      {{ec::no_route, "NO_ROUTE"}, x.exchange, x.routing_key, sent.at(0).properties});
  publishing().events->confirmed({{1, true}});
  sched.run();
  CAF_CHECK(!waiting->published && !waiting->error);
  advance(250ms);
  CAF_REQUIRE_EQUAL(sent.size(), 2u);
  publishing().events->confirmed({{1, true}});
  sched.run();
  CAF_CHECK(waiting->published);
}

// The broker may have taken it before the link was lost.
CAF_TEST(a message that is refused after a loss of the link is in doubt) {
  start_up();
  const failure refused{ec::access_refused, "ACCESS_REFUSED - access to exchange 'Trade' in vhost "
                                            "'/' refused for user 'u' (403)"};
  const std::vector<std::function<void(scripted_link&)>> refusals{
      [&](scripted_link& x) {
        x.events->confirmed({{1, false}});
        sched.run();
        advance(250ms);
        x.events->confirmed({{1, false}});
      },
      [&](scripted_link&) {
        caf::anon_send(sut, publication_refused{2, refused});
      },
      [&](scripted_link& x) {
        x.events->channel_closed({amqp::channel::publishing, refused});
      },
  };
  for (std::uint64_t id = 1; id <= refusals.size(); ++id) {
    auto answer = publish(message("k" + std::to_string(id)));
    links.back()->events->down({ec::connection_lost, "gone"});
    sched.run();
    advance(10s);
    auto& again = *links.back();
    bring_up(again);
    CAF_REQUIRE_EQUAL(again.published.size(), 1u);
    refusals[id - 1](again);
    sched.run();
    CAF_CHECK(code_of(answer->error) == ec::in_doubt);
  }
}

CAF_TEST(a message is not sent after its time and its publisher is told) {
  settings.config.outbox.exchanges["Orders"].ttl = 2s;
  start();
  auto brief = message("brief");
  brief.properties.expiration = 500ms;
  auto expired = publish(brief);
  auto order = publish(message("order", "Orders"));
  auto kept = publish(message("kept"));
  advance(750ms);
  CAF_CHECK(code_of(expired->error) == ec::expired);
  CAF_CHECK(!order->error);
  advance(2s);
  CAF_CHECK(code_of(order->error) == ec::expired);
  bring_up(publishing());
  CAF_CHECK(keys(publishing()) == strings{"kept"});
  publish(brief);
  CAF_CHECK(publishing().published.back().properties.expiration == 500ms);
}

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

// A link drops what is for a former life of its channel.
CAF_TEST(publications say for which life of the channel they are) {
  start_up_trading();
  publish(message("k1"));
  CAF_CHECK_EQUAL(publishing().publishing_generation, 1u);
  for (std::uint32_t life = 2; life <= 3; ++life) {
    publishing().events->channel_closed(
        {amqp::channel::publishing, {ec::precondition_failed, "406"}});
    publish(message("k2"));
    CAF_CHECK_EQUAL(publishing().publishing_generation, life);
  }
  publishing().events->down({ec::connection_lost, "gone"});
  sched.run();
  advance(0ms);
  bring_up(*links.at(2));
  CAF_CHECK_EQUAL(links[2]->publishing_generation, 1u);
}

CAF_TEST(a message that the broker could not take twice is rejected to its publisher) {
  start_up();
  auto answer = publish(message("k1"));
  for (auto times : {1u, 2u}) {
    advance(250ms);
    CAF_CHECK(!answer->error);
    CAF_CHECK_EQUAL(publishing().published.size(), times);
    publishing().events->confirmed({{1, false}});
    sched.run();
  }
  CAF_CHECK(code_of(answer->error) == ec::publish_rejected);
}

// As RabbitMQ rejects what goes to a queue that is just being deleted, though others have it.
CAF_TEST(a message that the broker could not take once is sent again) {
  start_up();
  auto first = publish(message("k1"));
  auto second = publish(message("k2"));
  publishing().events->confirmed({{1, false}, {2, true}});
  sched.run();
  CAF_CHECK(second->published);
  advance(250ms);
  CAF_CHECK(keys(publishing()) == (strings{"k1", "k2", "k1"}));
  publishing().events->confirmed({{1, true}});
  sched.run();
  CAF_CHECK(first->published);
}

CAF_TEST(a message that is to be sent again is not lost with the link) {
  start_up();
  auto answer = publish(message("k1"));
  publishing().events->confirmed({{1, false}});
  sched.run();
  publishing().events->down({ec::connection_lost, "gone"});
  sched.run();
  advance(0ms);
  bring_up(*links.at(2));
  CAF_CHECK(keys(*links[2]) == (strings{"k1"}));
  links[2]->events->confirmed({{1, true}});
  sched.run();
  CAF_CHECK(answer->published);
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

// The default exchange needs no declaration: it routes to the queue of that name.
CAF_TEST(a publication to the default exchange is sent as it is) {
  start_up();
  publish(message("some-queue", ""));
  CAF_CHECK(keys(publishing()) == strings{"some-queue"});
  CAF_CHECK(publishing().requests.empty());
}

CAF_TEST(a publication that AMQP cannot carry is refused and counted) {
  start_up();
  auto answer = publish(message(std::string(256, 'x')));
  CAF_CHECK(code_of(answer->error) == ec::invalid_argument);
  caf::anon_send(sut, publish_atom_v, message(std::string(256, 'x')));
  auto status = self->request(sut, caf::infinite, status_atom_v);
  sched.run();
  status.receive([](const supervisor_status& x) { CAF_CHECK_EQUAL(x.outbox.rejected, 2u); },
                 [](const caf::error& err) { CAF_FAIL(text_of(err)); });
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

// -- upkeep --------------------------------------------------------------------------------

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
