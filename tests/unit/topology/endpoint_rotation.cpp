#define CAF_SUITE endpoint_rotation

#include "topology/endpoint_rotation.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace std::chrono_literals;

namespace {

struct fixture {
  backoff_policy policy{.jitter = 0};
  endpoint_rotation::time_point now;
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(endpoint_rotation_tests, fixture)

CAF_TEST(endpoints take turns) {
  endpoint_rotation x{policy, 3, 1};
  CAF_CHECK_EQUAL(x.current(), 0u);
  for (auto expected : {1u, 2u, 0u}) {
    CAF_CHECK(x.next(ec::connection_lost, now) == 0ms);
    CAF_CHECK_EQUAL(x.current(), expected);
  }
}

CAF_TEST(one that refuses the login waits while the others are tried) {
  endpoint_rotation x{policy, 2, 1};
  x.next(ec::login_refused, now);
  CAF_CHECK_EQUAL(x.current(), 1u);
  CAF_CHECK(x.next(ec::connection_lost, now) == 0ms);
  CAF_CHECK_EQUAL(x.current(), 1u);
  CAF_CHECK(x.next(ec::connection_lost, now) == 250ms);
  CAF_CHECK_EQUAL(x.current(), 1u);
}

CAF_TEST(what is tried again at once counts all the same) {
  endpoint_rotation x{policy, 2, 1};
  x.again();
  CAF_CHECK_EQUAL(x.current(), 0u);
  x.next(ec::connection_lost, now);
  CAF_CHECK_EQUAL(x.current(), 1u);
  x.next(ec::connection_lost, now);
  CAF_CHECK(x.next(ec::connection_lost, now) == 250ms);
}

CAF_TEST(a success starts the count of failures anew) {
  endpoint_rotation x{policy, 1, 1};
  x.next(ec::connection_lost, now);
  CAF_CHECK(x.next(ec::connection_lost, now) > 0ms);
  x.settle();
  CAF_CHECK(x.next(ec::connection_lost, now) == 0ms);
}

CAF_TEST_FIXTURE_SCOPE_END()
