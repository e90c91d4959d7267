#define CAF_SUITE rejection_watch

#include "publishing/rejection_watch.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace std::chrono_literals;

namespace {

struct fixture {
  /// Rejects all from now on, until it takes too long.
  std::chrono::milliseconds reject_all() {
    for (;; now += 100ms)
      if (auto result = x.rejected(now))
        return *result;
  }

  rejection_watch::time_point now{1h};
  rejection_watch x;
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(rejection_watch_tests, fixture)

CAF_TEST(a broker that rejects all for two seconds is doubted) {
  CAF_CHECK(!x.rejected(now));
  CAF_CHECK(!x.rejected(now + 1'999ms));
  CAF_CHECK(x.rejected(now + 2s) == 2'000ms);
}

CAF_TEST(each doubt that is of no help takes twice as long up to a minute) {
  for (auto expected : {2s, 4s, 8s, 16s, 32s, 60s, 60s})
    CAF_CHECK(reject_all() == expected);
}

CAF_TEST(a message that is taken ends all doubt) {
  reject_all();
  x.rejected(now);
  x.taken();
  CAF_CHECK(!x.rejected(now + 10s));
  CAF_CHECK(x.rejected(now + 12s) == 2'000ms);
}

CAF_TEST(the next link is doubted anew but no sooner) {
  reject_all();
  x.rejected(now);
  x.link_lost();
  CAF_CHECK(!x.rejected(now + 4s));
  CAF_CHECK(reject_all() == 4s);
}

CAF_TEST_FIXTURE_SCOPE_END()
