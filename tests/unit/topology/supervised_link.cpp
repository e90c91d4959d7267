#define CAF_SUITE supervised_link

#include "topology/supervised_link.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace std::chrono_literals;

namespace {

const failure lost{ec::connection_lost, "gone"};

struct fixture {
  void come_up() {
    x.begin({});
    x.come_up("RabbitMQ", nullptr, now);
  }

  supervised_link::loss end(const failure& reason = lost) {
    return x.end(reason, 5s, now);
  }

  supervised_link::time_point now{1h};
  supervised_link x{link_role::publishing};
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(supervised_link_tests, fixture)

CAF_TEST(messages leave by a link that is up and neither blocked nor closing) {
  CAF_CHECK(!x.is_open());
  x.begin({});
  CAF_CHECK(!x.is_open());
  x.come_up("RabbitMQ", nullptr, now);
  CAF_CHECK(x.is_open());
  x.block("low on memory");
  CAF_CHECK(!x.is_open());
  x.unblock();
  CAF_CHECK(x.is_open());
  x.close();
  CAF_CHECK(!x.is_open());
}

CAF_TEST(its state is told in a word) {
  CAF_CHECK_EQUAL(x.state(), link_state::down);
  x.begin({});
  CAF_CHECK_EQUAL(x.state(), link_state::connecting);
  x.come_up("RabbitMQ", nullptr, now);
  CAF_CHECK_EQUAL(x.state(), link_state::up);
  x.block("");
  CAF_CHECK_EQUAL(x.state(), link_state::blocked);
  end();
  CAF_CHECK_EQUAL(x.state(), link_state::down);
}

CAF_TEST(it is closed once and only if there is a connection) {
  CAF_CHECK(!x.close());
  x.begin({});
  CAF_CHECK(x.close());
  CAF_CHECK(!x.close());
  end({});
  x.begin({});
  CAF_CHECK(x.close());
  x.cancel();
  x.begin({});
  CAF_CHECK(x.close());
}

CAF_TEST(an end says what the link was) {
  come_up();
  x.is_idle = true;
  auto first = end({});
  CAF_CHECK(first.was_up && first.was_idle);
  x.begin({});
  auto second = end();
  CAF_CHECK(!second.was_up && !second.was_idle);
  CAF_CHECK_EQUAL(x.connects, 1u);
  CAF_CHECK_EQUAL(x.losses, 1u);
  CAF_CHECK_EQUAL(x.last_failure.text, "gone");
}

CAF_TEST(failures are counted until it is up) {
  for (int i = 0; i < 3; ++i) {
    x.begin({});
    end();
  }
  CAF_CHECK_EQUAL(x.failures, 3u);
  come_up();
  end();
  CAF_CHECK_EQUAL(x.failures, 0u);
}

CAF_TEST(the end of what was warned of is a warning once) {
  CAF_CHECK(x.level_of_recovery() == log_level::info);
  come_up();
  end();
  CAF_CHECK(x.level_of_recovery() == log_level::warning);
  CAF_CHECK(x.level_of_recovery() == log_level::info);
  x.block("low on memory");
  CAF_CHECK(x.level_of_recovery() == log_level::warning);
  end({}); // in good order
  CAF_CHECK(x.level_of_recovery() == log_level::info);
}

CAF_TEST(a link that learned skips the pause once between two successes) {
  come_up();
  CAF_CHECK(x.learn({.channels = 4}));
  end();
  CAF_CHECK(x.skips_pause(false));
  CAF_CHECK(!x.skips_pause(false));
  come_up();
  x.learn({.channels = 3});
  now += 5s;
  end();
  CAF_CHECK(x.skips_pause(false));
}

CAF_TEST(an end that is explained costs no pause) {
  CAF_CHECK(!x.skips_pause(false));
  CAF_CHECK(x.skips_pause(true));
  CAF_CHECK(x.skips_pause(true));
}

CAF_TEST(a limit that is known already is nothing new) {
  x.begin({.channels = 4});
  CAF_CHECK(!x.learn({.channels = 4}));
  CAF_CHECK(!x.learn({.channels = 8}));
  CAF_CHECK(x.learn({.channels = 2}));
  CAF_CHECK_EQUAL(x.limits.channels, 2u);
}

CAF_TEST(a limit of messages does not explain the end of the link) {
  x.begin({});
  CAF_CHECK(x.learn({.message_size = 1'000}));
  CAF_CHECK(!x.has_learned);
  CAF_CHECK(x.learn({.consumers_per_channel = 10}));
  CAF_CHECK(x.has_learned);
  x.begin({});
  CAF_CHECK(!x.has_learned);
}

CAF_TEST_FIXTURE_SCOPE_END()
