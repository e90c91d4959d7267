#define CAF_SUITE outbox.hanging

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

const failure fault{ec::precondition_failed, "PRECONDITION_FAILED"};

/// Of "Hung" and "Good" two messages each are on the wire, and one of "Good" was answered.
struct fixture {
  fixture() : usual(outbox_limits{.window = 10}), aside(outbox_limits{}) {
    for (std::uint64_t id = 1; id <= 4; ++id)
      usual.push(message(id, id % 2 == 1 ? "Hung" : "Good"));
    CAF_REQUIRE(take(usual) == (ids{1, 2, 3, 4}));
    usual.confirm(2);
  }

  static ids take(outbox& x) {
    return ids_of(x.take());
  }

  ids take_by_turn(outbox& x) const {
    return ids_of(
        x.take(now, [&](const std::string& exchange) { return x.has_turn(exchange, now); }));
  }

  /// The name of the one that hangs from now on, or nothing.
  std::string hang(outbox& x) const {
    auto hung = x.hang_culprit(now, true);
    return hung ? hung->name : "";
  }

  outbox::time_point now{std::chrono::hours{1}};

  outbox usual;
  outbox aside;
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(outbox_hanging_tests, fixture)

CAF_TEST(an exchange that hangs moves and comes back with an answer) {
  CAF_CHECK_EQUAL(hang(usual), "Hung");
  CAF_CHECK(usual.has_turns());
  CAF_CHECK(!usual.move_hanging(aside)); // it is on the wire
  usual.push(message(5, "Hung"));
  usual.push(message(6, "Good"));
  usual.rewind();
  CAF_CHECK(usual.move_hanging(aside));
  CAF_CHECK(take(usual) == (ids{4, 6}));
  CAF_CHECK(take(aside) == (ids{1, 3, 5}));
  CAF_CHECK(!aside.is_moving());
  aside.confirm(3); // another queue's
  CAF_CHECK(aside.has_turns());
  aside.rewind();
  aside.move_proven(usual);
  CAF_CHECK(aside.knows("Hung"));
  CAF_CHECK(take(aside) == (ids{1, 5}));
  aside.confirm(1);
  CAF_CHECK(!aside.has_turns());
  aside.confirm(5);
  aside.move_proven(usual);
  CAF_CHECK(usual.knows("Hung") && !aside.knows("Hung"));
}

CAF_TEST(others are held up if they have no answer or wait for the wire) {
  CAF_CHECK(usual.holds_up_others());
  usual.confirm(4);
  CAF_CHECK(!usual.holds_up_others());
  usual.push(message(6, "Good"));
  CAF_CHECK(usual.holds_up_others());
  usual.take({}, [](const std::string&) { return false; });
  CAF_CHECK(!usual.holds_up_others()); // it waits for something else
}

CAF_TEST(who hangs again is tried after a pause that doubles and holds up nobody meanwhile) {
  using std::chrono::milliseconds;
  usual.confirm(4);
  std::uint64_t id = 10;
  auto pause = milliseconds{0};
  for (auto i = 0; i < 8; ++i) {
    auto hung = usual.hang_culprit(now, true);
    CAF_REQUIRE(hung);
    CAF_CHECK_EQUAL(hung->name, "Hung");
    CAF_CHECK_EQUAL(hung->again, i > 0);
    CAF_CHECK_EQUAL(hung->pause.count(), pause.count());
    usual.rewind();
    CAF_CHECK(usual.has_turns());
    if (pause.count() > 0) {
      now += pause - milliseconds{1};
      usual.push(message(++id, "Good"));
      CAF_CHECK(take_by_turn(usual) == ids{id});
      usual.confirm(id);
      now += milliseconds{1};
    }
    // Whatever others do.
    usual.push(message(++id, "Good"));
    CAF_CHECK(take_by_turn(usual) == (ids{1, 3, id}));
    usual.confirm(id);
    pause = pause.count() == 0 ? milliseconds{2'000} : std::min(2 * pause, milliseconds{16'000});
  }
  usual.confirm(1);
  CAF_CHECK(!usual.has_turns());
  now += std::chrono::minutes{1}; // after which it is as new
  auto hung = usual.hang_culprit(now, true);
  CAF_CHECK(hung && !hung->again);
}

CAF_TEST(without a link apart it is tried for as long as others go on without it) {
  auto hung = usual.hang_culprit(now, false);
  CAF_REQUIRE(hung);
  CAF_CHECK_EQUAL(hung->pause.count(), 30'000);
  usual.rewind();
  CAF_CHECK(take_by_turn(usual) == ids{4});
  now += hung->pause;
  CAF_CHECK(take_by_turn(usual) == (ids{1, 3}));
}

CAF_TEST(an exchange hangs on when what waits is dropped) {
  outbox x{{.each = {.max_messages = 1, .overflow = overflow_policy::drop_oldest}}};
  x.push(message(1, "Hung"));
  x.take();
  hang(x);
  x.rewind();
  x.push(message(2, "Hung"));
  CAF_CHECK(x.has_turns());
  CAF_CHECK(take(x) == ids{2});
  x.confirm(2);
  CAF_CHECK(!x.has_turns());
}

CAF_TEST(nobody hangs for the silence of a link that may be about several) {
  usual.rewind();
  take(usual);
  CAF_CHECK_EQUAL(hang(usual), "");
  usual.confirm(4);
  CAF_CHECK_EQUAL(hang(usual), "Hung");
}

// RabbitMQ blocks at the first message to a queue that hangs, and owes others their answers.
CAF_TEST(where one exchange after the other is tried the one without an answer hangs) {
  usual.confirm(1);
  usual.confirm(3);
  usual.confirm(4);
  std::uint64_t id = 4;
  for (auto i = 0; i < 2; ++i)
    for (auto exchange : {"A", "Hung", "B"})
      usual.push(message(++id, exchange));
  CAF_REQUIRE(take(usual) == (ids{5, 6, 7, 8, 9, 10}));
  usual.rewind();
  CAF_REQUIRE(take(usual) == (ids{5, 6, 7, 8, 9, 10}));
  CAF_CHECK_EQUAL(hang(usual), "");
  usual.try_each_alone();
  usual.rewind();
  CAF_CHECK(take_by_turn(usual) == ids{5});
  CAF_CHECK(take_by_turn(usual).empty());
  usual.confirm(5);
  CAF_CHECK(take_by_turn(usual) == (ids{8, 7}));
  CAF_CHECK(take_by_turn(usual).empty());
  usual.confirm(7);
  CAF_CHECK(take_by_turn(usual) == (ids{6, 10}));
  CAF_CHECK(take_by_turn(usual).empty());
  // The broker owes the answers to 8 and 10.
  CAF_CHECK_EQUAL(hang(usual), "Hung");
  usual.rewind();
  usual.move_hanging(aside);
  CAF_CHECK(take(usual) == (ids{8, 10}));
  CAF_CHECK(take(aside) == (ids{6, 9}));
}

CAF_TEST(a busy exchange hides none that is tried alone) {
  usual.confirm(1);
  usual.confirm(3);
  usual.push(message(5, "Hung"));
  usual.push(message(6, "Good"));
  usual.rewind();
  usual.try_each_alone();
  CAF_REQUIRE(take_by_turn(usual) == ids{4});
  usual.confirm(4);
  usual.push(message(7, "Good"));
  CAF_CHECK_EQUAL(take_by_turn(usual).size(), 3u);
  CAF_CHECK_EQUAL(hang(usual), "Hung");
}

CAF_TEST(others do not wait for one that the broker has passed) {
  usual.confirm(1);
  usual.confirm(3);
  usual.push(message(5, "Slow"));
  usual.rewind();
  usual.try_each_alone();
  CAF_REQUIRE(take_by_turn(usual) == ids{4});
  usual.confirm(4);
  CAF_REQUIRE(take_by_turn(usual) == ids{5});
  usual.push(message(6, "Good"));
  usual.push(message(7, "New"));
  CAF_REQUIRE(take_by_turn(usual) == ids{6});
  usual.confirm(6);
  CAF_CHECK(take_by_turn(usual) == ids{7});
}

CAF_TEST(the patience with an exchange doubles up to four minutes and ends with an answer) {
  CAF_CHECK_EQUAL(usual.patience().count(), 30'000);
  for (auto i = 0; i < 10; ++i)
    hang(usual);
  CAF_CHECK_EQUAL(usual.patience().count(), 8 * 30'000);
  usual.rewind();
  CAF_CHECK(take(usual) == (ids{1, 3, 4}));
  CAF_CHECK_EQUAL(usual.patience().count(), 8 * 30'000);
  usual.confirm(1);
  CAF_CHECK_EQUAL(usual.patience().count(), 30'000);
}

CAF_TEST(one that hangs is not to blame when the link ends) {
  usual.rewind();
  usual.push(message(5, "Bad"));
  CAF_REQUIRE(take(usual) == (ids{1, 3, 4, 5}));
  CAF_REQUIRE(!usual.accuse(fault));
  CAF_CHECK(take(usual) == (ids{1, 3})); // are tried, and there is no answer
  CAF_CHECK_EQUAL(hang(usual), "Hung");
  usual.rewind();
  CAF_CHECK(take(usual) == ids{1});
  usual.confirm(1);
  CAF_CHECK(take(usual) == ids{3});
  usual.confirm(3);
  CAF_CHECK(take(usual) == ids{4});
}

CAF_TEST(what is held of an exchange that hangs is tried again) {
  aside.restore();
  for (std::uint64_t id = 1; id <= 2; ++id) {
    auto x = message(id, "Hung");
    x.properties.persistent = true;
    x.routing_key = std::to_string(id);
    aside.push(x);
  }
  CAF_REQUIRE(take(aside) == (ids{1, 2}));
  hang(aside);
  amqp::returned_message back;
  back.exchange = "Hung";
  back.routing_key = "2";
  CAF_REQUIRE(aside.returned(back));
  CAF_REQUIRE(aside.confirm(2) == outbox::outcome::held);
  aside.move_proven(usual);
  CAF_CHECK_EQUAL(aside.held(), 1u);
  aside.probe();
  aside.move_proven(usual);
  CAF_CHECK(take(aside) == ids{2});
}

CAF_TEST(a turn that comes while messages leave lets none overtake) {
  usual.push(message(5, "A"));
  CAF_REQUIRE(usual.take({}, [](const std::string&) { return false; }).empty());
  usual.push(message(6, "A"));
  auto looks = 0;
  CAF_CHECK(usual.take({}, [&looks](const std::string&) { return ++looks > 1; }).empty());
  CAF_CHECK(take(usual) == (ids{5, 6}));
}

CAF_TEST(what was sent before an answered message is not to blame) {
  usual.push(message(5, "Bad"));
  CAF_REQUIRE(take(usual) == ids{5});
  usual.confirm(4);
  const auto culprit = usual.accuse(fault); // of 1, 3 and 5
  CAF_REQUIRE(culprit);
  CAF_CHECK_EQUAL(culprit->message.id, 5u);
  CAF_CHECK(take(usual) == (ids{1, 3}));
}

CAF_TEST(a fault of the broker may be about a message before an answered one) {
  usual.confirm(4);
  CAF_CHECK(!usual.accuse({ec::internal_error, "INTERNAL_ERROR (541)"}));
  CAF_CHECK(usual.has_suspects());
}

CAF_TEST_FIXTURE_SCOPE_END()
