#define CAF_SUITE supervisor.set_aside

#include "unit/center/supervisor_fixture.hpp"

using namespace actors;
using namespace actors::testing;

// Publications that may be refused, and the link apart.

CAF_TEST_FIXTURE_SCOPE(supervisor_set_aside_tests, supervisor_fixture)

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

CAF_TEST_FIXTURE_SCOPE_END()
