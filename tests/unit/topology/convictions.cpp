#define CAF_SUITE convictions

#include "topology/convictions.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace std::chrono_literals;

CAF_TEST(what ended connections is tried less and less often) {
  convictions x;
  convictions::time_point now;
  const convictions::thing bad = amqp::exchange{.name = "E"};
  CAF_CHECK(x.empty());
  CAF_CHECK(x.due(bad, now));
  x.add(bad, {ec::internal_error, "541"}, now);
  CAF_REQUIRE(x.find(bad) != nullptr);
  CAF_CHECK_EQUAL(x.find(bad)->reason.text, "541");
  CAF_CHECK(!x.due(bad, now + 9s));
  CAF_CHECK(x.due(bad, now + 10s));
  CAF_CHECK(x.due(amqp::exchange{.name = "F"}, now));
  x.tried(bad, now + 10s);
  CAF_CHECK(!x.due(bad, now + 19s));
  x.add(bad, {ec::internal_error, "541"}, now);
  CAF_CHECK(!x.due(bad, now + 19s));
  for (auto i = 0; i < 10; ++i)
    x.add(bad, {ec::internal_error, "541"}, now);
  CAF_CHECK(x.due(bad, now + convictions::last_pause));
  x.worked(bad);
  CAF_CHECK(x.due(bad, now));
}

CAF_TEST(as many are remembered as have room) {
  convictions x;
  for (std::size_t i = 0; i <= convictions::max_things; ++i)
    x.add(amqp::exchange{.name = std::to_string(i)}, {ec::internal_error, "541"}, {});
  CAF_CHECK(x.find(amqp::exchange{.name = "0"}) == nullptr);
  CAF_CHECK(x.find(amqp::exchange{.name = "1"}) != nullptr);
}
