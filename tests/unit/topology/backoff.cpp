#define CAF_SUITE backoff

#include "topology/backoff.hpp"

#include <vector>

#include "caf/test/dsl.hpp"

using namespace actors;
using std::chrono::milliseconds;

namespace {

constexpr backoff_policy exact{.first = milliseconds{250},
                               .limit = milliseconds{2'000},
                               .jitter = 0.0,
                               .refused = milliseconds{15'000}};

std::vector<std::int64_t> delays(backoff x, std::size_t count) {
  std::vector<std::int64_t> result;
  for (std::size_t i = 0; i < count; ++i)
    result.push_back(x.next().count());
  return result;
}

using list = std::vector<std::int64_t>;

} // namespace

CAF_TEST(the first attempt is at once and the delays double up to the limit) {
  CAF_CHECK_EQUAL(delays(backoff{exact, 1}, 7), (list{0, 250, 500, 1'000, 2'000, 2'000, 2'000}));
}

CAF_TEST(a factor of one keeps the delay) {
  auto policy = exact;
  policy.factor = 1.0;
  CAF_CHECK_EQUAL(delays(backoff{policy, 1}, 4), (list{0, 250, 250, 250}));
}

CAF_TEST(the limit binds the first delay as well) {
  auto policy = exact;
  policy.limit = milliseconds{100};
  CAF_CHECK_EQUAL(delays(backoff{policy, 1}, 3), (list{0, 100, 100}));
}

// Each delay lies within its bounds, and over many they fill them.
CAF_TEST(jitter shortens a delay by its share at most) {
  auto policy = exact;
  policy.jitter = 0.5;
  auto lowest = milliseconds::max();
  auto highest = milliseconds::min();
  backoff x{policy, 42};
  for (auto i = 0; i < 5; ++i)
    x.next();
  for (auto i = 0; i < 10'000; ++i) {
    const auto delay = x.next();
    lowest = std::min(lowest, delay);
    highest = std::max(highest, delay);
  }
  CAF_CHECK(lowest >= milliseconds{1'000});
  CAF_CHECK(lowest < milliseconds{1'010});
  CAF_CHECK(highest <= milliseconds{2'000});
  CAF_CHECK(highest > milliseconds{1'990});
}

CAF_TEST(the seed alone decides) {
  auto policy = exact;
  policy.jitter = 0.5;
  CAF_CHECK(delays(backoff{policy, 1}, 20) == delays(backoff{policy, 1}, 20));
  CAF_CHECK(delays(backoff{policy, 1}, 20) != delays(backoff{policy, 2}, 20));
}

// A broker that is restarted may be back at any moment.
CAF_TEST(an unreachable peer is tried again sooner) {
  auto policy = exact;
  policy.unreachable = milliseconds{400};
  backoff x{policy, 1};
  list result;
  for (auto i = 0; i < 4; ++i)
    result.push_back(x.next_after_unreachable().count());
  CAF_CHECK_EQUAL(result, (list{0, 250, 400, 400}));
  // However long it was unreachable.
  CAF_CHECK_EQUAL(x.next().count(), 1'000);
}

// A wrong password does not heal within milliseconds.
CAF_TEST(a refused login waits long and counts as a failure) {
  backoff x{exact, 1};
  CAF_CHECK_EQUAL(x.next_after_refusal().count(), 15'000);
  CAF_CHECK_EQUAL(x.next_after_refusal().count(), 15'000);
  CAF_CHECK_EQUAL(x.failures(), 2u);
  CAF_CHECK_EQUAL(x.next().count(), 500);
}

CAF_TEST(after a reset all is as at the start) {
  backoff x{exact, 1};
  for (auto i = 0; i < 10; ++i)
    x.next();
  CAF_CHECK(x.failures() > 3u);
  x.reset();
  CAF_CHECK_EQUAL(x.failures(), 0u);
  CAF_CHECK_EQUAL(delays(x, 3), (list{0, 250, 500}));
}
