#define CAF_SUITE supervisor.hanging

#include "unit/center/supervisor_fixture.hpp"

using namespace actors;
using namespace actors::testing;

namespace {

/// "Hung" has messages on the wire that have no answer, and "Trade" has had one.
struct fixture : supervisor_fixture {
  void start_beside_hung() {
    start_up();
    publish(message("h1", "Hung"));
    settle(publishing());
    publish(message("h2", "Hung"));
    publish(message("good"));
    confirm(publishing(), 3);
  }

  void look_for(std::chrono::milliseconds time) {
    for (auto i = 0ms; i < time; i += 250ms)
      advance(250ms);
  }

  /// The publishing link is silent: it is left for another one as soon as the link apart, the next
  /// that is made, is up. Gives back the one that follows, up.
  scripted_link& leave_silent_link() {
    const auto count = links.size();
    look_for(1s);
    CAF_REQUIRE_EQUAL(links.size(), count + 1);
    bring_up(*links[count]);
    look_for(750ms);
    CAF_REQUIRE_EQUAL(links.size(), count + 2);
    bring_up(*links[count + 1]);
    return *links[count + 1];
  }
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(supervisor_hanging_tests, fixture)

// RabbitMQ reads no more from the connection.
CAF_TEST(an exchange that holds up all others goes by the link apart) {
  start_beside_hung();
  publish(message("good"));
  auto& second = leave_silent_link();
  CAF_CHECK(keys(second) == strings{"good"});
  auto& apart = *links[2];
  CAF_CHECK(keys(apart) == (strings{"h1", "h2"}));
  auto held = publish(message("h3", "Hung"));
  publish(message("new", "New")); // has nothing to do with it
  settle(second);
  CAF_CHECK(keys(second) == (strings{"good", "new"}));
  CAF_CHECK(keys(apart) == (strings{"h1", "h2", "h3"}));
  confirm(second, 4);
  confirm(second, 6);
  look_for(10s);
  CAF_CHECK_EQUAL(links.size(), 4u);
  for (auto id : {1, 2, 5})
    confirm(apart, static_cast<std::uint64_t>(id));
  CAF_CHECK(held->published);
  publish(message("h4", "Hung"));
  CAF_CHECK(keys(second) == (strings{"good", "new", "h4"}));
}

CAF_TEST(a broker that stands still costs no link) {
  start_beside_hung();
  publish(message("good"));
  look_for(5s); // nobody lets the link apart in
  CAF_CHECK_EQUAL(links.size(), 3u);
  CAF_CHECK(publishing().events != nullptr && !publishing().closing);
  bring_up(*links[2]);
  for (auto id : {1, 2, 4})
    confirm(publishing(), static_cast<std::uint64_t>(id));
  look_for(1s);
  CAF_CHECK(links[2]->closing);
  CAF_CHECK_EQUAL(links.size(), 3u);
}

// RabbitMQ waits for the queue before it has looked at the confirms of others.
CAF_TEST(who hangs is found where a new link answers nothing at all) {
  start_up();
  publish(message("good"));
  publish(message("h1", "Hung"));
  settle(publishing());
  auto& second = leave_silent_link();
  CAF_CHECK(keys(second) == strings{"good"});
  confirm(second, 1);
  CAF_CHECK(keys(second) == (strings{"good", "h1"}));
  CAF_CHECK(links[2]->closing); // it was not needed
  links[2]->events->down({});
  publish(message("good"));
  CAF_CHECK(keys(leave_silent_link()) == strings{"good"});
  CAF_CHECK(second.events == nullptr);
  CAF_CHECK(keys(*links[4]) == strings{"h1"});
}

CAF_TEST(who hangs is found where it comes first of all) {
  start_up();
  publish(message("h1", "Hung"));
  publish(message("good"));
  settle(publishing());
  auto& second = leave_silent_link();
  CAF_CHECK(keys(second) == strings{"h1"});
  links[2]->events->down({});
  CAF_CHECK(keys(leave_silent_link()) == strings{"good"});
  CAF_CHECK(keys(*links[4]) == strings{"h1"});
}

CAF_TEST(a second exchange that hangs is found beside the first) {
  start_beside_hung();
  publish(message("good"));
  auto& second = leave_silent_link();
  confirm(second, 4);
  publish(message("h3", "Hung too"));
  settle(second);
  publish(message("good"));
  publish(message("good"));
  confirm(second, 6); // RabbitMQ reads no more
  look_for(1s);
  CAF_CHECK(links[2]->closing);
  links[2]->events->down({});
  sched.run();
  advance(0ms);
  auto& apart = *links.at(4); // evidence that the broker lets others in
  bring_up(apart);
  CAF_CHECK(keys(apart) == (strings{"h1", "h2"}));
  look_for(750ms);
  bring_up(*links.at(5));
  CAF_CHECK(keys(*links[5]) == strings{"good"});
  CAF_CHECK(keys(apart) == (strings{"h1", "h2", "h3"}));
}

// There is no place for a third one where the second is missing.
CAF_TEST(without a consuming link no link is left early for its silence) {
  start_beside_hung();
  publish(message("good"));
  consuming().events->down({ec::connect_failed, "gone"});
  look_for(25s);
  for (std::size_t i = 2; i < links.size(); ++i)
    CAF_CHECK(!links[i]->where.connection_name.ends_with("quarantine"));
  CAF_REQUIRE(publishing().events != nullptr);
  CAF_CHECK(!publishing().closing);
}

CAF_TEST(where there is no link apart none is left early for its silence) {
  start_beside_hung();
  publish(message("good"));
  look_for(1s);
  links.at(2)->events->down({ec::not_allowed, "no more connections"});
  look_for(25s);
  CAF_CHECK(!publishing().closing);
  look_for(15s);
  CAF_CHECK(publishing().events == nullptr || publishing().closing);
}

CAF_TEST(an exchange that is late while others have answers costs nothing) {
  start_beside_hung();
  for (std::uint64_t id = 4; id < 44; ++id) {
    publish(message("good"));
    look_for(500ms);
    confirm(publishing(), id);
  }
  CAF_CHECK_EQUAL(links.size(), 2u);
}

CAF_TEST(a slow broker costs a link now and then only) {
  start_beside_hung();
  std::size_t up = 2;
  for (auto i = 0; i < 200; ++i) {
    publish(message(i % 2 == 0 ? "good" : "h", i % 2 == 0 ? "Trade" : "Hung"));
    look_for(1s);
    for (; up < links.size(); ++up)
      bring_up(*links[up]);
  }
  CAF_CHECK(links.size() > 2 && links.size() < 20);
}

CAF_TEST(a queue that never answers costs a link now and then only) {
  settings.config.outbox.confirm_timeout = 1s;
  start_up();
  publish(message("h1", "Hung"));
  settle(publishing());
  std::size_t up = 2;
  for (auto i = 0; i < 100; ++i) {
    look_for(1s);
    for (; up < links.size(); ++up)
      bring_up(*links[up]);
  }
  CAF_CHECK(links.size() > 8 && links.size() < 22);
}

CAF_TEST_FIXTURE_SCOPE_END()
