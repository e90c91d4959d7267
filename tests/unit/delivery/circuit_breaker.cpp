#define CAF_SUITE circuit_breaker

#include "delivery/circuit_breaker.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace std::chrono_literals;

namespace {

struct fixture {
  /// Hands one over, if it may.
  std::uint64_t pass() {
    CAF_REQUIRE(x.lets_pass(now));
    return x.passed(now, 1s);
  }

  circuit_breaker x;
  circuit_breaker::time_point now{100s};
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(circuit_breaker_tests, fixture)

CAF_TEST(whoever is in time gets everything) {
  for (auto i = 0; i < 3; ++i)
    x.answered(pass());
  pass();
  pass();
  CAF_CHECK(x.closed());
}

CAF_TEST(whoever is late gets one for a try and then waits for twice as long each time) {
  pass();
  x.late();
  CAF_CHECK(!x.closed());
  for (auto wait : {1s, 2s, 4s, 8s}) {
    pass();
    x.late();
    now += wait - 1ms;
    CAF_CHECK(!x.lets_pass(now));
    now += 1ms;
  }
  CAF_CHECK(x.lets_pass(now));
}

CAF_TEST(an answer to the last that was handed over closes it) {
  const auto first = pass();
  const auto second = pass();
  x.late();
  x.answered(first);
  CAF_CHECK(!x.closed());
  x.answered(second);
  CAF_CHECK(x.closed());
  // Whoever is late once more is tried at once again.
  pass();
  x.late();
  CAF_CHECK(x.lets_pass(now));
}

CAF_TEST(whoever leaves one open and answers what came later is not late) {
  pass();
  x.answered(pass());
  x.late();
  CAF_CHECK(x.closed());
}

CAF_TEST_FIXTURE_SCOPE_END()
