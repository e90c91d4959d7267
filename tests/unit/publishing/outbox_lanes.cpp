#define CAF_SUITE outbox.lanes

#include "publishing/outbox.hpp"

#include <string>
#include <vector>

#include "outbox_messages.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;

namespace {

using testing::ids;
using testing::ids_of;
using testing::message;
using outcome = outbox::outcome;

const failure fault{ec::internal_error, "INTERNAL_ERROR (541)"};

ids take(outbox& x) {
  return ids_of(x.take());
}

/// "Good" is proven; of "Good", "New" and "Bad" two messages each are on the wire, and one of
/// each waits behind them when the broker closes the link.
struct fixture {
  fixture() : usual(outbox_limits{.window = 6}), aside(outbox_limits{}) {
    usual.push(message(1, "Good"));
    take(usual);
    usual.confirm(1);
    std::uint64_t id = 1;
    for (auto i = 0; i < 3; ++i)
      for (auto exchange : {"Good", "New", "Bad"})
        usual.push(message(++id, exchange));
    CAF_REQUIRE(take(usual) == (ids{2, 3, 4, 5, 6, 7}));
    CAF_REQUIRE(!usual.accuse(fault));
  }

  outbox usual;
  outbox aside;
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(outbox_lanes_tests, fixture)

CAF_TEST(whom the broker took nothing from is moved and the others go on at once) {
  CAF_CHECK(usual.move_unproven(aside));
  CAF_CHECK(take(usual) == (ids{2, 5, 8}));
  CAF_CHECK(aside.has_suspects());
  CAF_CHECK_EQUAL(aside.waiting(), 6u);
  CAF_CHECK(aside.knows("New") && aside.knows("Bad") && !aside.knows("Good"));
  CAF_CHECK(!usual.knows("New") && !usual.knows("Bad"));
  CAF_CHECK_EQUAL(usual.bytes() + aside.bytes(), 4 * 9 + 3 * (4 + 3 + 3) + 9u);
}

CAF_TEST(without anyone to move the suspects stay) {
  outbox x{{}};
  for (std::uint64_t id = 1; id <= 2; ++id)
    x.push(message(id, "Good"));
  take(x);
  x.confirm(1);
  CAF_CHECK(!x.accuse(fault));
  CAF_CHECK(!x.move_unproven(aside));
  CAF_CHECK(x.has_suspects());
}

CAF_TEST(the culprit is found aside and no other is blamed) {
  usual.move_unproven(aside);
  ids refused;
  auto bad = [](std::uint64_t id) { return id % 3 == 1; };
  for (auto batch = take(aside); !batch.empty(); batch = take(aside))
    for (auto id : batch) {
      if (!bad(id)) {
        CAF_CHECK(aside.confirm(id) == outcome::published);
        continue;
      }
      if (auto culprit = aside.accuse(fault))
        refused.push_back(culprit->message.id);
      break;
    }
  CAF_CHECK(refused == (ids{4, 7, 10}));
  CAF_CHECK(aside.empty());
}

CAF_TEST(whom the broker takes messages from goes back when none is suspected) {
  usual.move_unproven(aside);
  take(usual);
  const outbox::gate open = [this](auto& exchange) { return !aside.returns(exchange); };
  // By halves: New's, Bad's, New's again.
  CAF_REQUIRE(ids_of(aside.take({}, open)) == (ids{3, 4}));
  CAF_CHECK(aside.confirm(3) == outcome::published);
  aside.move_proven(usual);
  CAF_CHECK(aside.knows("New"));  // 6 may be to blame
  CAF_CHECK(aside.accuse(fault)); // for 4
  aside.move_proven(usual);
  CAF_CHECK(usual.knows("New"));
  CAF_CHECK(usual.is_proven("New"));
  CAF_CHECK(take(usual) == (ids{6, 9}));
  CAF_CHECK(aside.knows("Bad"));
  CAF_CHECK_EQUAL(aside.unconfirmed() + aside.waiting(), 2u);
}

CAF_TEST(who is on the wire does not go back) {
  outbox x{{}};
  for (std::uint64_t id = 1; id <= 3; ++id)
    x.push(message(id, "Other"));
  take(x);
  x.confirm(1);
  x.move_proven(usual);
  CAF_CHECK(x.knows("Other"));
  x.confirm(2);
  x.confirm(3);
  x.move_proven(usual);
  CAF_CHECK(!x.knows("Other"));
  CAF_CHECK_EQUAL(x.bytes(), 0u);
}

CAF_TEST(what is held goes back as well and is held there) {
  outbox x{{}};
  x.restore();
  for (std::uint64_t id = 1; id <= 2; ++id) {
    auto y = message(id, "New");
    y.properties.persistent = true;
    x.push(y);
  }
  auto batch = x.take();
  CAF_REQUIRE_EQUAL(batch.size(), 1u); // the other is held behind it
  CAF_REQUIRE(x.returned({{ec::no_route, "NO_ROUTE"}, "New", "k", batch[0].properties}));
  CAF_CHECK(x.confirm(1) == outcome::held);
  x.probe(); // which waits again, ahead of the others
  outbox y{{}};
  x.move_proven(y);
  CAF_CHECK(x.empty());
  CAF_CHECK_EQUAL(x.held(), 0u);
  CAF_CHECK(take(y) == ids{1});
  CAF_CHECK_EQUAL(y.held(), 1u);
  CAF_CHECK(y.confirm(1) == outcome::published);
  CAF_CHECK(take(y) == ids{2});
}

CAF_TEST(the order of an exchange is kept beside one that is to go alone) {
  outbox x{outbox_limits{.window = 1}};
  x.push(message(1, "New"));
  take(x);
  x.push(message(2, "New"));
  x.push(message(3, "New"), {}, outbox::manner::alone);
  x.accuse(fault);
  outbox y{{}};
  x.move_all(y);
  for (std::uint64_t id = 1; id <= 3; ++id) {
    CAF_REQUIRE(take(y) == ids{id});
    CAF_CHECK(y.confirm(id) == outcome::published);
  }
  CAF_CHECK(y.empty());
}

CAF_TEST(who was never on the wire is not moved for a fault of others) {
  outbox x{outbox_limits{.window = 2}};
  for (std::uint64_t id = 1; id <= 3; ++id)
    x.push(message(id, "Good"));
  take(x);
  x.confirm(1);
  take(x);
  x.push(message(4, "New"));
  CAF_CHECK(!x.accuse(fault));
  CAF_CHECK(!x.move_unproven(aside));
  CAF_CHECK(x.knows("New"));
  CAF_CHECK(take(x) == ids{2}); // by halves, as before
}

CAF_TEST(limits and deadlines are kept on the way) {
  using namespace std::chrono_literals;
  outbox_limits limits;
  limits.each.max_messages = 2;
  limits.each.overflow = overflow_policy::block;
  limits.each.ttl = 1s;
  outbox x{limits};
  outbox y{limits};
  const outbox::time_point now{};
  for (std::uint64_t id = 1; id <= 4; ++id)
    CAF_REQUIRE(x.push(message(id, "New"), now).empty());
  CAF_CHECK_EQUAL(x.blocked(), 2u);
  x.move_all(y);
  CAF_CHECK(x.empty());
  CAF_CHECK(!x.has_deadlines());
  CAF_CHECK_EQUAL(x.bytes(), 0u);
  CAF_CHECK_EQUAL(y.blocked(), 2u);
  CAF_CHECK_EQUAL(y.push(message(5, "New"), now).size(), 1u); // as much is kept aside as may wait
  y.expire(now + 2s);
  CAF_CHECK_EQUAL(y.take_dropped().size(), 4u);
  CAF_CHECK(y.empty());
  CAF_CHECK(!y.has_deadlines());
}

CAF_TEST(an exchange is forgotten only when nothing is on its way to it) {
  CAF_CHECK(!usual.forget("New"));
  CAF_CHECK(usual.forget("Unknown"));
  aside.remember("Unknown");
  CAF_CHECK(aside.knows("Unknown"));
  CAF_CHECK(aside.forget("Unknown"));
  CAF_CHECK(!aside.knows("Unknown"));
}

CAF_TEST_FIXTURE_SCOPE_END()
