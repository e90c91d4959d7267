#define CAF_SUITE consumer_groups

#include "topology/consumer_groups.hpp"

#include <algorithm>
#include <numeric>
#include <set>

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace std::chrono_literals;

namespace {

using ids = std::vector<amqp::consumer_id>;

/// Groups, and a broker that closes the channel of those with a bad one among them.
struct fixture {
  consumer_groups x;
  consumer_groups::time_point now;

  std::uint32_t start(amqp::consumer_id id) {
    const auto result = x.join(id, now);
    x.started(id, now);
    return result;
  }

  /// Starts all until only the bad ones are refused. Gives back who was.
  std::set<amqp::consumer_id> find(ids all, const std::set<amqp::consumer_id>& bad) {
    std::set<amqp::consumer_id> result;
    falls = 0;
    while (!all.empty()) {
      std::map<std::uint32_t, ids> channels;
      for (auto id : all)
        channels[x.join(id, now)].push_back(id);
      all.clear();
      for (auto& [group, on_it] : channels) {
        if (std::none_of(on_it.begin(), on_it.end(), [&](auto id) { return bad.contains(id); })) {
          for (auto id : on_it)
            x.started(id, now);
          continue;
        }
        ++falls;
        const auto culprit = x.fell(on_it, now);
        for (auto id : on_it)
          if (id == culprit)
            result.insert(id);
          else
            all.push_back(id);
      }
      CAF_REQUIRE(falls < 1'000u);
    }
    return result;
  }

  std::size_t falls = 0;
};

ids up_to(std::size_t n) {
  ids result(n);
  std::iota(result.begin(), result.end(), 1u);
  return result;
}

} // namespace

CAF_TEST_FIXTURE_SCOPE(consumer_groups_tests, fixture)

CAF_TEST(consumers share a channel) {
  for (auto id : up_to(100))
    CAF_CHECK_EQUAL(start(id), 0u);
}

CAF_TEST(the culprit is found by halves and nobody else is blamed) {
  CAF_CHECK(find(up_to(1'000), {700}) == std::set<amqp::consumer_id>{700});
  CAF_CHECK(falls <= 12);
}

CAF_TEST(several culprits are all found and nobody else is blamed) {
  const std::set<amqp::consumer_id> bad{1, 2, 50, 99, 100};
  CAF_CHECK(find(up_to(100), bad) == bad);
}

CAF_TEST(a consumer that is refused joins none that has been running) {
  for (auto id : up_to(3))
    start(id);
  now += 2s;
  CAF_CHECK(x.join(4, now) != 0u);
  CAF_CHECK(find({5}, {5}) == std::set<amqp::consumer_id>{5});
}

CAF_TEST(consumers that are started one by one share no channel for long) {
  constexpr auto groups = consumer_groups::max_shared / 2; // the others are for replicated queues
  for (auto id : up_to(groups - 1)) {
    start(id);
    now += 2s;
  }
  CAF_CHECK(x.join(1'000, now) == groups - 1);
}

CAF_TEST(one that was refused alone stays alone) {
  find(up_to(3), {2});
  const auto group = x.join(2, now);
  CAF_CHECK(group >= consumer_groups::max_shared);
  CAF_CHECK(x.join(4, now) != group);
  x.left(2);
  CAF_CHECK_EQUAL(x.join(2, now), group);
  x.clear();
  CAF_CHECK_EQUAL(x.join(2, now), group);
  x.started(2, now);
  x.clear();
  CAF_CHECK(x.join(2, now) < consumer_groups::max_shared);
}

CAF_TEST(the first fall of what runs is laid to nobody and the second to all on it) {
  for (auto id : up_to(4))
    start(id);
  CAF_CHECK(!x.fell(up_to(4), now));
  for (auto id : up_to(4))
    CAF_CHECK_EQUAL(start(id), 0u);
  now += 59s;
  CAF_CHECK(!x.fell(up_to(4), now));
  const auto half = start(1);
  CAF_CHECK_EQUAL(start(2), half);
  CAF_CHECK(start(3) != half);
  CAF_CHECK(!x.fell({1, 2}, now));
  CAF_CHECK(start(1) != start(2));
  CAF_CHECK(x.fell({1}, now) == amqp::consumer_id{1});
}

CAF_TEST(a channel that falls now and then is laid to nobody) {
  for (auto i = 0; i < 5; ++i) {
    for (auto id : up_to(2))
      CAF_CHECK_EQUAL(start(id), 0u);
    CAF_CHECK(!x.fell(up_to(2), now));
    now += 61s;
  }
}

CAF_TEST(where channels are too few for all to be alone they are started one at a time) {
  for (auto id : {1u, 2u})
    CAF_CHECK_EQUAL(x.join(id, now), 0u);
  CAF_CHECK(!x.fell({1, 2}, now));
  CAF_CHECK(x.may_start(1));
  x.join(1, now);
  CAF_CHECK(x.may_start(2));
  x.join(2, now);
  CAF_CHECK(!x.fell({1, 2}, now)); // they were to be apart
  CAF_CHECK(x.is_crowded());
  x.join(1, now);
  CAF_CHECK(!x.may_start(2));
  x.started(1, now);
  CAF_CHECK(x.may_start(2));
  x.join(2, now);
  CAF_CHECK(x.fell({1, 2}, now) == amqp::consumer_id{2});
}

// One that has no leader holds up its channel.
CAF_TEST(consumers of replicated queues share no channel with others) {
  for (auto channels : {0u, 2u, 5u, 1'000u}) {
    consumer_groups y;
    y.limit_channels(2 * channels);
    std::set<std::uint32_t> usual;
    std::set<std::uint32_t> replicated;
    for (amqp::consumer_id id = 1; id <= 200; id += 2) {
      usual.insert(y.join(id, now));
      y.started(id, now);
      replicated.insert(y.join(id + 1, now, true));
      y.started(id + 1, now);
      now += 2s;
    }
    for (auto group : usual)
      CAF_CHECK(!replicated.contains(group));
  }
}

CAF_TEST(with few channels there are few groups) {
  x.limit_channels(3);
  start(1);
  now += 2s;
  CAF_CHECK_EQUAL(start(2), 0u);
}

CAF_TEST_FIXTURE_SCOPE_END()
