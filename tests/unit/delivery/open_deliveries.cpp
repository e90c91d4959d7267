#define CAF_SUITE open_deliveries

#include "delivery/open_deliveries.hpp"

#include <memory>
#include <string>
#include <vector>

#include "delivery/consumer_ids.hpp"
#include "support/scripted_transport.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace std::chrono_literals;

namespace {

using verdict = ack_window::verdict;
using settlements = std::vector<amqp::settlement>;

constexpr auto start = open_deliveries::time_point{};
const message_origin third{"Trade", "k", amqp::stream_position{1, 3}};

struct fixture {
  open_deliveries it;
  std::shared_ptr<testing::scripted_link> link = std::make_shared<testing::scripted_link>();
  amqp::link_sender_ptr out = std::make_shared<testing::scripted_sender>(link);

  /// A consumer delivers a message that these subscriptions are asked for.
  delivery_key deliver(amqp::consumer_id consumer, std::uint32_t generation, std::uint64_t tag,
                       std::vector<subscription_id> waiting = {1}) {
    const auto life = it.enter(out, generation);
    it.began(consumer, life);
    it.arrived(tag);
    open_delivery x;
    x.consumer = consumer;
    x.waiting = std::move(waiting);
    x.since = start;
    const delivery_key result{life, tag};
    if (!x.waiting.empty())
      it.wait(result, std::move(x));
    return result;
  }

  /// What would be sent on one life's channel.
  settlements settled(std::uint32_t generation) {
    settlements result;
    it.flush([&](amqp::link_sender&, std::uint32_t where, settlements xs) {
      if (where == generation)
        result.insert(result.end(), xs.begin(), xs.end());
    });
    return result;
  }

  /// All have answered: it is settled.
  bool answer(delivery_key key, verdict what = verdict::ack, subscription_id id = 1) {
    auto done = it.answered(key, id, what, {});
    if (done)
      it.settle(key, done->consumer, done->outcome);
    return done.has_value();
  }
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(open_deliveries_tests, fixture)

// -- several lives ---------------------------------------------------------------------------

CAF_TEST(each answer goes to the channel that its message came by) {
  const auto one = deliver(4, 1, 7);
  const auto two = deliver(8, 2, 7); // the same tag on another channel
  CAF_CHECK(answer(two));
  CAF_CHECK(settled(1).empty());
  CAF_CHECK(answer(one, verdict::requeue));
  CAF_CHECK(settled(1) == (settlements{{7, verdict::requeue}}));
  CAF_CHECK_EQUAL(it.generations(), 2u);
}

CAF_TEST(the same channel is the same life) {
  const auto one = deliver(4, 1, 1);
  deliver(8, 2, 1);
  CAF_CHECK_EQUAL(deliver(4, 1, 2).generation, one.generation);
  const amqp::link_sender_ptr other = std::make_shared<testing::scripted_sender>(link);
  CAF_CHECK_NOT_EQUAL(it.enter(other, 1), one.generation);
}

CAF_TEST(a lost consumer touches no other) {
  const auto lost = deliver(4, 1, 1);
  const auto other = deliver(8, 2, 1);
  it.lost(4);
  CAF_CHECK(settled(1) == (settlements{{1, verdict::release}}));
  CAF_CHECK(!answer(lost));
  CAF_CHECK(answer(other));
  CAF_CHECK(settled(1).empty());
}

CAF_TEST(a life ends with the last of its consumers) {
  const auto lost = deliver(4, 1, 1);
  const auto other = deliver(8, 1, 2);
  it.lost(4);
  CAF_CHECK(answer(other));
  it.lost(8);
  settled(1);
  deliver(12, 2, 1);
  CAF_CHECK_EQUAL(it.generations(), 1u);
  CAF_CHECK(!answer(lost));
}

CAF_TEST(what a lost consumer had is given back where its channel lives on) {
  deliver(4, 1, 1);
  it.lost(4);
  const auto next = deliver(4, 1, 2);
  CAF_CHECK(answer(next));
  CAF_CHECK(settled(1) == (settlements{{1, verdict::release}, {2, verdict::ack}}));
}

CAF_TEST(no acknowledgement covers what a retired consumer left in hand) {
  const auto in_hand = deliver(4, 1, 1);
  it.retired(4);
  const auto lost = deliver(8, 1, 2);
  it.lost(8);
  CAF_CHECK(!answer(lost));
  CAF_CHECK(answer(deliver(12, 1, 3)));
  CAF_CHECK(answer(deliver(12, 1, 4)));
  CAF_CHECK(settled(1)
            == (settlements{{2, verdict::release}, {3, verdict::ack}, {4, verdict::ack}}));
  CAF_CHECK(answer(in_hand));
  CAF_CHECK(settled(1) == (settlements{{1, verdict::ack}}));
}

CAF_TEST(an answer of a former life never settles what has its tag now) {
  const auto former = deliver(4, 1, 1);
  it.lost(4);
  const auto now = deliver(4, 2, 1);
  CAF_CHECK(!answer(former));
  CAF_CHECK(!it.resume(former) && !it.moved(former));
  CAF_CHECK(settled(2).empty());
  CAF_CHECK(answer(now));
  CAF_CHECK(settled(2) == (settlements{{1, verdict::ack}}));
}

// The word of its loss may be late, or never come.
CAF_TEST(a consumer that delivers elsewhere has lost what it had) {
  const auto former = deliver(4, 1, 1);
  deliver(4, 2, 1);
  CAF_CHECK(settled(1) == (settlements{{1, verdict::release}}));
  CAF_CHECK(!answer(former));
}

CAF_TEST(what a retired consumer delivered can still be settled) {
  const auto key = deliver(4, 1, 1);
  it.retired(4);
  CAF_CHECK(answer(key));
  CAF_CHECK(settled(1) == (settlements{{1, verdict::ack}}));
  deliver(8, 2, 1); // now nothing is left of it
  CAF_CHECK_EQUAL(it.generations(), 1u);
}

// -- answers ------------------------------------------------------------------------------------

CAF_TEST(the strongest answer counts once all have answered) {
  const auto key = deliver(4, 1, 1, {1, 2, 3});
  CAF_CHECK(!answer(key, verdict::requeue, 1));
  CAF_CHECK(!answer(key, verdict::requeue, 1)); // it has answered before
  CAF_CHECK(!answer(key, verdict::reject, 2));
  CAF_CHECK(answer(key, verdict::ack, 3));
  CAF_CHECK(settled(1) == (settlements{{1, verdict::requeue}}));
}

CAF_TEST(verdicts have an order) {
  CAF_CHECK(stronger(verdict::ack, verdict::reject) == verdict::reject);
  CAF_CHECK(stronger(verdict::release, verdict::reject) == verdict::release);
  CAF_CHECK(stronger(verdict::release, verdict::requeue) == verdict::requeue);
}

CAF_TEST(what a strategy that ended had is released and not failed) {
  const auto key = deliver(4, 1, 1, {1, 2});
  auto given_back = it.give_back({1});
  CAF_CHECK(given_back.empty()); // another one has it
  CAF_CHECK(answer(key, verdict::ack, 2));
  CAF_CHECK(settled(1) == (settlements{{1, verdict::release}}));
  deliver(4, 1, 2, {1});
  given_back = it.give_back({1});
  CAF_REQUIRE_EQUAL(given_back.size(), 1u);
  CAF_CHECK(given_back[0].second.outcome == verdict::release);
}

CAF_TEST(a stream takes nothing back) {
  subscription log;
  log.kind = queue_kind::stream;
  const auto id = make_consumer_id(1, log);
  const auto key = deliver(id, 1, 1, {});
  CAF_CHECK(it.settle(key, id, verdict::requeue));
  CAF_CHECK(settled(1) == (settlements{{1, verdict::ack}}));
}

// -- what hangs -----------------------------------------------------------------------------------

CAF_TEST(the time of what a lost consumer left in hand goes on) {
  const auto key = deliver(4, 1, 1);
  it.lost(4);
  CAF_CHECK(it.awaits_answers());
  CAF_CHECK_EQUAL(it.unfinished(), 1u);
  auto limit = [](subscription_id) { return 2'000ms; };
  CAF_CHECK(it.late(start + 1s, limit).empty());
  auto late = it.late(start + 2s, limit);
  CAF_REQUIRE_EQUAL(late.size(), 1u);
  CAF_CHECK(late[0].key == key);
  CAF_CHECK(!answer(key));
  CAF_CHECK_EQUAL(it.unfinished(), 0u);
}

CAF_TEST(a copy waits for the verdict on what is in hand) {
  deliver(4, 1, 1);
  it.lost(4);
  const auto life = it.enter(out, 2);
  it.began(4, life);
  it.arrived(1);
  const delivery_key copy{life, 1};
  open_delivery x;
  x.consumer = 4;
  x.following = {1};
  it.wait(copy, std::move(x));
  it.follow(1, third, copy);
  auto unlimited = [](subscription_id) { return 1ms; };
  CAF_CHECK_EQUAL(it.late(start + 24h, unlimited).size(), 1u); // not the copy
  CAF_CHECK(it.take_followers(2, third).empty());              // another strategy's
  const auto followers = it.take_followers(1, third);
  CAF_REQUIRE_EQUAL(followers.size(), 1u);
  auto done = it.followed(followers[0], 1, verdict::requeue, "too late");
  CAF_REQUIRE(done);
  CAF_CHECK(done->outcome == verdict::requeue);
  CAF_CHECK_EQUAL(done->error, "too late");
  CAF_CHECK(it.take_followers(1, third).empty());
}

// -- pauses and copies ----------------------------------------------------------------------------

CAF_TEST(a retired consumer gives back all that paused at once) {
  for (std::uint64_t tag = 1; tag <= 2; ++tag)
    it.pause(deliver(4, 1, tag, {}), {4, verdict::release});
  it.pause(deliver(8, 1, 3, {}), {8, verdict::requeue});
  it.resume_all(4);
  CAF_CHECK(settled(1) == (settlements{{1, verdict::release}, {2, verdict::release}}));
}

CAF_TEST(a copy that is confirmed after its consumer was lost settles nothing) {
  const auto key = deliver(4, 1, 1, {});
  it.move(key, {.consumer = 4});
  CAF_CHECK_EQUAL(it.unfinished(), 1u);
  it.lost(4);
  CAF_CHECK(!it.moved(key));
  CAF_CHECK_EQUAL(it.unfinished(), 0u);
}

CAF_TEST_FIXTURE_SCOPE_END()
