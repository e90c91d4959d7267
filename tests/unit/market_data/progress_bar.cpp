#define CAF_SUITE market_data.progress_bar

#include "market_data/progress_bar.hpp"

#include "caf/test/dsl.hpp"

using market_data::progress_bar;
using namespace std::chrono_literals;

namespace {

const progress_bar::clock::time_point start{};

} // namespace

CAF_TEST(a terminal sees a bar that is redrawn in place ten times a second) {
  progress_bar bar{true, start};
  CAF_CHECK_EQUAL(bar.update(0.5, 10, start + 99ms), "");
  CAF_CHECK_EQUAL(bar.update(0.5, 1'000, start + 2s),
                  "\r[###############               ]  50 %  1000 events  500/s  2 s left\x1b[K");
  CAF_CHECK_EQUAL(bar.update(0.5, 1'000, start + 2s + 50ms), "");
  CAF_CHECK_EQUAL(bar.finish(1.0, 2'000, start + 4s),
                  "\r\x1b[K[##############################] 100 %  2000 events  500/s\n");
}

CAF_TEST(elsewhere there is a line every few seconds) {
  progress_bar bar{false, start};
  CAF_CHECK_EQUAL(bar.update(0.1, 100, start + 4s), "");
  CAF_CHECK_EQUAL(bar.update(0.25, 100, start + 5s), " 25 %  100 events  20/s  15 s left\n");
  CAF_CHECK_EQUAL(bar.update(0.3, 100, start + 9s), "");
  CAF_CHECK_EQUAL(bar.finish(1.0, 200, start + 10s), "100 %  200 events  20/s\n");
}

CAF_TEST(work without an end has no bar) {
  progress_bar bar{true, start};
  CAF_CHECK_EQUAL(bar.update(std::nullopt, 50, start + 1s), "\r50 events  50/s\x1b[K");
}
