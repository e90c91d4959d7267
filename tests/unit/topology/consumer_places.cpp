#define CAF_SUITE consumer_places

#include "topology/consumer_places.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;

namespace {

using ids = std::vector<amqp::consumer_id>;

struct fixture {
  consumer_places x;

  /// Those of 1 to `last` that have a place.
  ids placed(amqp::consumer_id last) {
    ids result;
    for (amqp::consumer_id id = 1; id <= last; ++id)
      if (x.take(id))
        result.push_back(id);
    return result;
  }
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(consumer_places_tests, fixture)

CAF_TEST(without a limit all have a place) {
  CAF_CHECK_EQUAL(placed(5), (ids{1, 2, 3, 4, 5}));
  CAF_CHECK_EQUAL(x.take_granted(), ids{});
}

CAF_TEST(whoever has a place keeps it) {
  x.limit(2);
  CAF_CHECK(x.take(7));
  CAF_CHECK(x.take(8));
  CAF_CHECK(!x.take(9));
  CAF_CHECK(!x.take(3));
  CAF_CHECK(x.take(8));
  CAF_CHECK(x.waits(3) && x.waits(9) && !x.waits(8));
}

CAF_TEST(a free place goes to the first that was wanted) {
  x.limit(2);
  CAF_CHECK_EQUAL(placed(4), (ids{1, 2}));
  x.leave(1);
  CAF_CHECK(!x.take(4));
  CAF_CHECK(!x.take(5));
  CAF_CHECK_EQUAL(x.take_granted(), ids{3});
  x.forget(2);
  x.forget(4);
  CAF_CHECK_EQUAL(x.take_granted(), ids{5});
  CAF_CHECK(!x.waits(4));
}

CAF_TEST(the last lose their places to a limit and get them back without it) {
  CAF_CHECK_EQUAL(placed(4), (ids{1, 2, 3, 4}));
  x.limit(3);
  CAF_CHECK(x.waits(4));
  x.limit(0);
  CAF_CHECK_EQUAL(x.take_granted(), ids{4});
}

CAF_TEST_FIXTURE_SCOPE_END()
