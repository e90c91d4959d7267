#define CAF_SUITE answer_watch

#include "publishing/answer_watch.hpp"

#include "outbox_messages.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace std::chrono_literals;

namespace {

using testing::message;

/// Messages to two exchanges are on the wire; nothing was answered.
struct fixture {
  fixture() {
    for (std::uint64_t id = 1; id <= 4; ++id)
      box.push(message(id, id % 2 == 1 ? "Hung" : "Good"));
    box.take();
    look();
  }

  bool look() {
    return x.look(box, now, around);
  }

  /// Looks after some time, every 250 ms.
  void pass(std::chrono::milliseconds time) {
    for (const auto end = now + time; now < end;) {
      now += 250ms;
      look();
    }
  }

  answer_watch::time_point now{1h};
  answer_watch::surroundings around{true, true, 0};
  outbox box{outbox_limits{.window = 10}};
  answer_watch x{30s};
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(answer_watch_tests, fixture)

CAF_TEST(a link is silent when nothing was answered for 750 ms though others wait) {
  pass(500ms);
  CAF_CHECK(!x.is_silent());
  pass(250ms);
  CAF_CHECK(x.is_silent());
  CAF_CHECK(x.silent_since() == now - 750ms);
}

CAF_TEST(an answer to another message than the oldest ends the silence and not the waiting) {
  pass(500ms);
  box.confirm(2);
  pass(500ms);
  CAF_CHECK(!x.is_silent());
  CAF_CHECK(x.has_waited(1'000ms, now));
  CAF_CHECK(!x.has_waited(1'001ms, now));
}

CAF_TEST(an answer to the oldest message begins all anew) {
  pass(750ms);
  box.confirm(1);
  now += 250ms;
  CAF_CHECK(look());
  CAF_CHECK(!x.is_silent());
  CAF_CHECK(x.has_waited(0ms, now) && !x.has_waited(1ms, now));
}

CAF_TEST(a link by which nothing may leave is not silent) {
  around.is_open = false;
  pass(5s);
  CAF_CHECK(!x.is_silent());
  CAF_CHECK(!x.has_waited(1ms, now));
}

CAF_TEST(a link that another cannot help is not silent but its oldest message waits) {
  around.may_leave = false;
  pass(5s);
  CAF_CHECK(!x.is_silent());
  CAF_CHECK(x.has_waited(5s, now));
}

CAF_TEST(one exchange alone holds up nobody) {
  box.confirm(2);
  box.confirm(4);
  pass(5s);
  CAF_CHECK(!x.is_silent());
}

CAF_TEST(answers by the other link since then are evidence) {
  around.answers_of_other = 7;
  look();
  pass(750ms);
  CAF_CHECK(x.other_is_answered(7)); // they came when all was well
  box.confirm(2);
  pass(1s);
  CAF_CHECK(!x.other_is_answered(7));
  CAF_CHECK(x.other_is_answered(8));
}

CAF_TEST(a link that was slow has twice the time) {
  pass(750ms);
  box.confirm(2);
  pass(250ms);
  CAF_CHECK(x.limit() == 1'500ms);
}

CAF_TEST(a link that was left has twice the time only if that was so within a minute) {
  pass(750ms);
  x.leave(now, std::nullopt);
  CAF_CHECK(x.limit() == 750ms);
  now += 59s;
  x.leave(now, std::nullopt);
  CAF_CHECK(x.limit() == 1'500ms);
  now += 60s;
  look();
  CAF_CHECK(x.limit() == 750ms);
}

CAF_TEST(a link that was left for its silence was not slow) {
  pass(750ms);
  x.leave(now, false);
  box.rewind();
  CAF_CHECK(!x.is_silent() || look());
  CAF_CHECK(x.limit() == 750ms);
}

CAF_TEST(an exchange that hangs again gives the next link twice the time) {
  x.leave(now, true);
  CAF_CHECK(x.limit() == 1'500ms);
  x.leave(now, false);
  CAF_CHECK(x.limit() == 1'500ms);
}

CAF_TEST(the time of silences has a limit) {
  for (int i = 0; i < 10; ++i)
    x.leave(now, true);
  CAF_CHECK(x.limit() == 30s);
}

CAF_TEST_FIXTURE_SCOPE_END()
