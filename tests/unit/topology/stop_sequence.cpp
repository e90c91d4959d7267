#define CAF_SUITE stop_sequence

#include "topology/stop_sequence.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;

namespace {

using step = stop_sequence::step;

struct fixture {
  stop_sequence x;
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(stop_sequence_tests, fixture)

CAF_TEST(nothing ends before it begins) {
  CAF_CHECK(!x.has_begun());
  CAF_CHECK(x.go_on(true, true) == step::none);
  CAF_CHECK(x.on_deadline(stop_stage::none) == step::none);
  CAF_CHECK(x.on_deadline(stop_stage::draining) == step::none);
}

CAF_TEST(it begins once) {
  CAF_CHECK(x.begin());
  CAF_CHECK(x.has_begun());
  CAF_CHECK(!x.begin());
}

CAF_TEST(links close when nothing waits and it ends when they are closed) {
  x.begin();
  CAF_CHECK(x.go_on(false, true) == step::none);
  CAF_CHECK(x.go_on(true, false) == step::close_links);
  CAF_CHECK(x.go_on(true, false) == step::none);
  CAF_CHECK(x.go_on(false, true) == step::finish);
}

CAF_TEST(a deadline ends each stage) {
  x.begin();
  CAF_CHECK(x.on_deadline(stop_stage::draining) == step::close_links);
  CAF_CHECK(x.on_deadline(stop_stage::closing) == step::finish);
}

CAF_TEST(the deadline of a stage that is over is of no effect) {
  x.begin();
  CAF_CHECK(x.go_on(true, false) == step::close_links);
  CAF_CHECK(x.on_deadline(stop_stage::draining) == step::none);
  CAF_CHECK(x.stage() == stop_stage::closing);
}

CAF_TEST(the end comes once) {
  x.begin();
  x.on_deadline(stop_stage::draining);
  x.on_deadline(stop_stage::closing);
  CAF_CHECK(x.go_on(true, true) == step::none);
  CAF_CHECK(x.on_deadline(stop_stage::closing) == step::none);
  CAF_CHECK(x.has_begun());
}

CAF_TEST_FIXTURE_SCOPE_END()
