#define CAF_SUITE market_data.publisher

#include "market_data/publisher.hpp"

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "actors/error.hpp"
#include "center/messages.hpp"

#include "caf/test/dsl.hpp"

using namespace market_data;
using namespace std::chrono_literals;

namespace {

/// Takes publications as the event center does, and answers when told to.
struct scripted_center_state {
  std::deque<caf::response_promise> open;
  bool answers = true;
  bool refuses = false;
};

caf::behavior scripted_center(caf::stateful_actor<scripted_center_state>* self) {
  return {
      [=](actors::publish_atom, actors::amqp::publication&) {
        auto promise = self->make_response_promise();
        if (self->state.refuses)
          promise.deliver(actors::make_error(actors::ec::outbox_full, "no room"));
        else if (self->state.answers)
          promise.deliver(actors::published{});
        else
          self->state.open.push_back(promise);
        return promise;
      },
      [=](caf::ok_atom) {
        self->state.open.front().deliver(actors::published{});
        self->state.open.pop_front();
      },
  };
}

/// Trades that happen at given times.
struct scripted_feed final : feed {
  std::deque<std::chrono::nanoseconds> times;
  std::string error;
  int reads = 0;

  caf::expected<std::optional<timed_event>> next() override {
    ++reads;
    if (times.empty() && !error.empty())
      return actors::make_error(actors::ec::invalid_argument, error);
    if (times.empty())
      return std::nullopt;
    actors::trade x;
    x.platform = "p";
    x.symbol = reads % 2 == 1 ? "odd" : "even";
    timed_event result{times.front(), x};
    times.pop_front();
    return std::optional{std::move(result)};
  }

  std::map<std::string, std::uint64_t> skipped() const override {
    return {{"noise", 3}};
  }
};

struct fixture : test_coordinator_fixture<> {
  caf::actor center = sys.spawn(scripted_center);
  std::unique_ptr<scripted_feed> source = std::make_unique<scripted_feed>();
  publish_settings settings;
  caf::actor aut;
  std::optional<publish_report> report;

  fixture() {
    settings.speed = 0;
    sched.run();
  }

  ~fixture() {
    // They hold each other's handles while answers are open.
    caf::anon_send_exit(aut, caf::exit_reason::kill);
    caf::anon_send_exit(center, caf::exit_reason::kill);
    sched.run();
  }

  scripted_center_state& script() {
    return deref<caf::stateful_actor<scripted_center_state>>(center).state;
  }

  void start(std::size_t events) {
    source->times.insert(source->times.end(), events, 0ns);
    start();
  }

  void start() {
    std::unique_ptr<feed> x = std::move(source);
    aut = sys.spawn(publisher, actors::event_center{center, center}, std::move(x), settings);
    self->send(aut, caf::get_atom_v);
    sched.run();
    take_report();
  }

  void take_report() {
    self->receive([this](const publish_report& x) { report = x; }, caf::after(0s) >> [] {});
  }

  void answer_one() {
    self->send(center, caf::ok_atom_v);
    sched.run();
    take_report();
  }
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(publisher_tests, fixture)

CAF_TEST(every event is counted with its answer by exchange and key) {
  start(5);
  CAF_REQUIRE(report);
  CAF_CHECK_EQUAL(report->all.published, 5u);
  CAF_CHECK_EQUAL(report->all.confirmed, 5u);
  CAF_CHECK_EQUAL(report->all.failed, 0u);
  CAF_REQUIRE_EQUAL(report->by_stream.size(), 2u);
  CAF_CHECK(report->by_stream.at("Trade:p.odd").confirmed == 3u);
  CAF_CHECK(report->by_stream.at("Trade:p.even").confirmed == 2u);
  CAF_CHECK_EQUAL(report->skipped.at("noise"), 3u);
  CAF_CHECK_EQUAL(report->feed_error + report->publish_error, "");
}

CAF_TEST(a refused event is counted and its reason told) {
  script().refuses = true;
  start(2);
  CAF_REQUIRE(report);
  CAF_CHECK_EQUAL(report->all.failed, 2u);
  CAF_CHECK_EQUAL(report->all.confirmed, 0u);
  CAF_CHECK_EQUAL(report->publish_error, "no room");
}

CAF_TEST(no more than the window is on its way and the end waits for all answers) {
  script().answers = false;
  settings.window = 3;
  start(5);
  CAF_CHECK_EQUAL(script().open.size(), 3u);
  answer_one();
  CAF_CHECK_EQUAL(script().open.size(), 3u);
  for (int i = 0; i < 3; ++i)
    answer_one();
  CAF_CHECK(!report);
  answer_one();
  CAF_REQUIRE(report);
  CAF_CHECK_EQUAL(report->all.confirmed, 5u);
}

CAF_TEST(events keep the distances of the recording divided by the speed) {
  settings.speed = 2;
  source->times = {100s, 100s, 101s, 104s};
  script().answers = false;
  start();
  CAF_CHECK_EQUAL(script().open.size(), 2u);
  sched.advance_time(499ms);
  sched.run();
  CAF_CHECK_EQUAL(script().open.size(), 2u);
  sched.advance_time(1ms);
  sched.run();
  CAF_CHECK_EQUAL(script().open.size(), 3u);
  sched.advance_time(1500ms);
  sched.run();
  CAF_CHECK_EQUAL(script().open.size(), 4u);
}

CAF_TEST(a count ends the feed before its end) {
  settings.count = 3;
  start(10);
  CAF_REQUIRE(report);
  CAF_CHECK_EQUAL(report->all.published, 3u);
}

CAF_TEST(a time limit ends the feed but not the wait for answers) {
  script().answers = false;
  settings.speed = 1;
  settings.limit = 1500ms;
  source->times = {0s, 1s, 2s, 3s};
  start();
  sched.advance_time(1s);
  sched.run();
  sched.advance_time(2s);
  sched.run();
  CAF_CHECK_EQUAL(script().open.size(), 2u);
  answer_one();
  CAF_CHECK(!report);
  answer_one();
  CAF_REQUIRE(report);
  CAF_CHECK_EQUAL(report->all.confirmed, 2u);
}

CAF_TEST(a stopped publisher waits a moment for answers and reports what is open) {
  script().answers = false;
  start(5);
  self->send(aut, actors::stop_atom_v);
  sched.run();
  take_report();
  CAF_CHECK(!report);
  sched.advance_time(300ms);
  sched.run();
  take_report();
  CAF_REQUIRE(report);
  CAF_CHECK_EQUAL(report->all.published, 5u);
  CAF_CHECK_EQUAL(report->all.confirmed, 0u);
}

CAF_TEST(an error of the feed ends it and is told) {
  source->error = "line 7 is bad";
  start(2);
  CAF_REQUIRE(report);
  CAF_CHECK_EQUAL(report->all.confirmed, 2u);
  CAF_CHECK_EQUAL(report->feed_error, "line 7 is bad");
}

CAF_TEST_FIXTURE_SCOPE_END()
