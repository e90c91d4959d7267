#define CAF_SUITE topology_state.places

// Few consumers are allowed: who has a place, and who is refused for want of one.

#include "amqp/channel_division.hpp"
#include "topology_state_fixture.hpp"

using namespace actors;
using namespace topology_state_test;

namespace {

/// Two places, and three that want one.
struct crowded : fixture {
  crowded() {
    up(limits);
    for (amqp::consumer_id id = 1; id <= 3; ++id)
      want(id, "E", "a");
    run();
    CAF_REQUIRE_EQUAL(news, (lines{"1 a: on q1", "2 a: on q2", "3: not_allowed"}));
    news.clear();
    requests.clear();
  }

  void retry() {
    x.retry();
    follow();
    run();
  }

  void close_channel_of(amqp::consumer_id id) {
    broker.close(broker.groups.at(id), {ec::not_found, "a stranger's queue is not there"});
  }

  bool asked_about(const std::string& queue) const {
    return std::any_of(requests.begin(), requests.end(), [&](auto& request) {
      return request.find("'" + queue + "'") != std::string::npos;
    });
  }

  const amqp::broker_limits limits{4, 1};
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(topology_state_places_tests, crowded)

CAF_TEST(nothing is declared for whoever has no place) {
  CAF_CHECK_EQUAL(broker.queues.count("q3"), 0u);
  retry();
  CAF_CHECK_EQUAL(news, lines{});
  CAF_CHECK_EQUAL(x.refused(), lines{"queue 'q3': " + amqp::no_room_text(limits)});
}

CAF_TEST(a newcomer does not take the place of one whose channel fell) {
  close_channel_of(1);
  deliver(); // 1 declares its queue, and is slow to start
  want(3, "E", "b");
  want(4, "E", "a");
  retry();
  CAF_CHECK_EQUAL(x.running(), 2u);
  CAF_CHECK_EQUAL(broker.consumers.count(1) + broker.consumers.count(2), 2u);
  CAF_CHECK(!asked_about("q3") && !asked_about("q4"));
}

CAF_TEST(a good one waits for the place of a bad one that is not started yet) {
  down();
  for (amqp::consumer_id id = 1; id <= 3; ++id)
    unwant(id);
  news.clear();
  up(limits);
  refuse("start consumer 1", ec::access_refused);
  for (amqp::consumer_id id = 11; id <= 14; ++id)
    want(id, "E", "a");
  run();
  CAF_CHECK_EQUAL(news, (lines{"11: access_refused", "12: access_refused", "13: access_refused",
                               "14: access_refused"}));
  news.clear();
  refuse("nothing", ec::none);
  heal();
  refuse("start consumer 21", ec::access_refused);
  for (amqp::consumer_id id = 21; id <= 23; ++id)
    want(id, "E", "a");
  run();
  CAF_CHECK_EQUAL(broker.consumers.count(22) + broker.consumers.count(23), 2u);
}

CAF_TEST(places outlive the link) {
  down();
  unwant(4);
  up(limits);
  run();
  CAF_CHECK_EQUAL(broker.consumers.count(1) + broker.consumers.count(2), 2u);
  CAF_CHECK_EQUAL(x.running(), 2u);
}

CAF_TEST(the last that were wanted yield to a limit that was found) {
  down();
  up({3, 1});
  run();
  CAF_CHECK_EQUAL(x.running(), 1u);
  CAF_CHECK_EQUAL(broker.consumers.count(1), 1u);
}

CAF_TEST(a place that is free is taken at once) {
  unwant(1);
  run();
  CAF_CHECK_EQUAL(broker.consumers.count(3), 1u);
  CAF_CHECK_EQUAL(news, (lines{"1: consumer_cancelled", "3 a: on q3"}));
}

CAF_TEST(one that is refused keeps no place) {
  refuse("start consumer 1", ec::access_refused);
  close_channel_of(1);
  run();
  CAF_CHECK_EQUAL(broker.consumers.count(3), 1u);
  heal();
  retry();
  CAF_CHECK_EQUAL(broker.consumers.count(1), 0u);
  unwant(2);
  run();
  CAF_CHECK_EQUAL(broker.consumers.count(1), 1u);
}

CAF_TEST_FIXTURE_SCOPE_END()
