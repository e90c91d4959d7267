#define CAF_SUITE supervisor.answers

#include "unit/center/supervisor_fixture.hpp"

using namespace actors;
using namespace actors::testing;

// What publishers are answered.

CAF_TEST_FIXTURE_SCOPE(supervisor_answers_tests, supervisor_fixture)

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

CAF_TEST_FIXTURE_SCOPE_END()
