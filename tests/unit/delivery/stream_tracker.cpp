#define CAF_SUITE stream_tracker

#include "delivery/stream_tracker.hpp"

#include <limits>
#include <map>
#include <random>
#include <set>
#include <utility>

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace std::chrono_literals;

namespace {

using verdict = stream_tracker::verdict;
using notices = std::vector<stream_notice>;
using position = amqp::stream_position;

constexpr auto start = stream_tracker::time_point{};

/// A tracker whose messages are all of one stream, unless said otherwise.
struct tracker {
  stream_tracker it;

  explicit tracker(stream_limits limits = {}) : it(limits) {
    // nop
  }

  stream_tracker::arrival arrived(position x, std::string_view key = "k") {
    return it.arrived("Trade", key, x, start);
  }

  /// Arrives and is handled.
  stream_tracker::arrival take(position x, std::string_view key = "k") {
    auto result = arrived(x, key);
    if (result.outcome == verdict::fresh)
      it.handled("Trade", key, x);
    return result;
  }

  void handled(position x) {
    it.handled("Trade", "k", x);
  }

  void failed(position x) {
    it.failed("Trade", "k", x);
  }
};

stream_notice gap(std::uint64_t from, std::uint64_t to) {
  return stream_gap{"Trade", "k", from, to};
}

stream_notice restarted(std::uint64_t epoch) {
  return stream_restarted{"Trade", "k", epoch};
}

bool fresh(const stream_tracker::arrival& x, const notices& before = {}) {
  return x.outcome == verdict::fresh && x.before == before;
}

} // namespace

// -- duplicates -------------------------------------------------------------------------

CAF_TEST(a message is in hand until it is handled) {
  tracker x;
  CAF_CHECK(fresh(x.arrived({1, 1})));
  CAF_CHECK(x.arrived({1, 1}).outcome == verdict::in_hand);
  x.handled({1, 1});
  CAF_CHECK(x.arrived({1, 1}).outcome == verdict::handled);
  CAF_CHECK(x.arrived({1, 1}).before.empty());
}

// The broker delivers it again because it was not handled.
CAF_TEST(a message that failed is fresh again) {
  tracker x;
  x.arrived({1, 1});
  x.arrived({1, 2});
  x.failed({1, 1});
  CAF_CHECK(fresh(x.arrived({1, 1})));
  CAF_CHECK(x.arrived({1, 2}).outcome == verdict::in_hand);
}

CAF_TEST(messages without a position are always fresh) {
  tracker x;
  for (auto i = 0; i < 3; ++i) {
    CAF_CHECK(fresh(x.it.arrived("Trade", "k", std::nullopt, start)));
    x.it.handled("Trade", "k", std::nullopt);
    x.it.failed("Trade", "k", std::nullopt);
  }
  // A publisher that begins to count does not restart.
  CAF_CHECK(fresh(x.take({1, 7})));
}

CAF_TEST(a position of 0 is none) {
  tracker x;
  for (auto i = 0; i < 2; ++i)
    CAF_CHECK(fresh(x.take({1, 0})));
  CAF_CHECK(fresh(x.take({1, 5})));
  CAF_CHECK(fresh(x.take({1, 0})));
  CAF_CHECK(fresh(x.take({1, 6})));
  CAF_CHECK(x.take({1, 5}).outcome == verdict::handled);
}

CAF_TEST(streams differ by exchange and by routing key) {
  tracker x;
  x.take({1, 1});
  CAF_CHECK(x.it.arrived("Kline", "k", position{1, 1}, start).outcome == verdict::fresh);
  CAF_CHECK(x.it.arrived("Trade", "l", position{1, 1}, start).outcome == verdict::fresh);
  CAF_CHECK(x.it.arrived("Trad", "ek", position{1, 1}, start).outcome == verdict::fresh);
  CAF_CHECK(x.arrived({1, 1}).outcome == verdict::handled);
  CAF_CHECK_EQUAL(x.it.size(), 4u);
}

// However long the backlog is that the broker delivers again.
CAF_TEST(what was handled stays known for as long as the tracker lives) {
  tracker x;
  constexpr auto count = 200'000u;
  for (auto i = 1u; i <= count; ++i)
    x.take({1, i});
  for (auto i = 1u; i <= count; ++i)
    CAF_REQUIRE(x.take({1, i}).outcome == verdict::handled);
  CAF_CHECK_EQUAL(x.it.forgotten(), 0u);
}

// Delivered twice is better than not at all.
CAF_TEST(beyond its ranges a tracker forgets the oldest and loses nothing) {
  tracker x{{.max_ranges = 8}};
  for (auto i = 1u; i <= 9; ++i)
    x.take({1, 2 * i}); // each follows a hole
  CAF_CHECK_EQUAL(x.it.forgotten(), 1u);
  CAF_CHECK(x.arrived({1, 4}).outcome == verdict::handled);
  CAF_CHECK(fresh(x.arrived({1, 2})));
  CAF_CHECK(fresh(x.arrived({1, 3}))); // what never came is never taken for handled
}

CAF_TEST(all streams together have a bound as well) {
  tracker x{{.max_ranges_in_all = 4}};
  for (auto key : {"a", "b", "c"})
    for (auto i = 1u; i <= 2; ++i)
      x.take({1, 2 * i}, key);
  CAF_CHECK_EQUAL(x.it.size(), 2u);
  CAF_CHECK_EQUAL(x.it.forgotten(), 2u);
  CAF_CHECK(x.take({1, 4}, "c").outcome == verdict::handled);
  CAF_CHECK(fresh(x.take({1, 4}, "a")));
}

// -- gaps -------------------------------------------------------------------------------

CAF_TEST(a missing sequence is told once ahead of what follows it) {
  tracker x;
  CAF_CHECK(fresh(x.take({1, 10})));
  CAF_CHECK(fresh(x.take({1, 11})));
  CAF_CHECK(fresh(x.take({1, 15}), {gap(12, 14)}));
  // What comes late fills the gap without a word, and is handled once as well.
  CAF_CHECK(fresh(x.take({1, 13})));
  CAF_CHECK(x.take({1, 13}).outcome == verdict::handled);
  CAF_CHECK(fresh(x.take({1, 16})));
  CAF_CHECK(fresh(x.take({1, 18}), {gap(17, 17)}));
}

CAF_TEST(what came before the first message is late and opens no gap) {
  tracker x;
  x.take({1, 10});
  CAF_CHECK(fresh(x.take({1, 8})));
  CAF_CHECK(x.take({1, 8}).outcome == verdict::handled);
  CAF_CHECK(fresh(x.take({1, 11})));
}

CAF_TEST(a gap as wide as all numbers is one gap) {
  tracker x;
  for (auto i = 1u; i <= 4; ++i)
    x.take({1, i});
  const auto last = std::numeric_limits<std::uint64_t>::max();
  CAF_CHECK(fresh(x.take({1, last}), {gap(5, last - 1)}));
  for (auto i : {last - 1, last - 2, last - 3})
    CAF_CHECK(fresh(x.take({1, i})));
  CAF_CHECK(x.take({1, last}).outcome == verdict::handled);
}

// -- publishers -------------------------------------------------------------------------

CAF_TEST(a newer epoch is a restart that counts from 1) {
  tracker x;
  x.take({5, 3});
  CAF_CHECK(fresh(x.take({7, 1}), {restarted(7)}));
  CAF_CHECK(fresh(x.take({7, 2})));
  CAF_CHECK(fresh(x.take({9, 4}), {restarted(9), gap(1, 3)}));
}

// Two programs that publish with one key must not look like a restart each time.
CAF_TEST(publishers that take turns are told once) {
  tracker x;
  CAF_CHECK(fresh(x.take({5, 3})));
  CAF_CHECK(fresh(x.take({7, 1}), {restarted(7)}));
  CAF_CHECK(fresh(x.take({5, 4})));
  CAF_CHECK(fresh(x.take({7, 2})));
  CAF_CHECK(x.take({5, 4}).outcome == verdict::handled);
  CAF_CHECK(fresh(x.take({5, 6}), {gap(5, 5)}));
}

CAF_TEST(an older publisher that is heard for the first time is no restart) {
  tracker x;
  x.take({7, 1});
  CAF_CHECK(fresh(x.take({5, 30})));
  CAF_CHECK(x.take({5, 30}).outcome == verdict::handled);
  CAF_CHECK(fresh(x.take({5, 32}), {gap(31, 31)}));
}

CAF_TEST(only the newest publishers of a stream are followed) {
  tracker x{{.max_epochs = 2}};
  x.take({1, 1});
  x.take({2, 1});
  x.take({3, 1});
  // Publisher 1 is not followed any more: no duplicates, gaps or restarts.
  for (auto i = 0; i < 2; ++i)
    CAF_CHECK(fresh(x.take({1, 9})));
  CAF_CHECK(x.take({2, 1}).outcome == verdict::handled);
  CAF_CHECK(x.take({3, 1}).outcome == verdict::handled);
}

// -- many streams -------------------------------------------------------------------------

CAF_TEST(the stream that is silent for longest makes room) {
  tracker x{{.max_streams = 2}};
  x.take({1, 1}, "a");
  x.take({1, 1}, "b");
  x.take({1, 2}, "a");
  x.take({1, 1}, "c");
  CAF_CHECK_EQUAL(x.it.size(), 2u);
  CAF_CHECK(x.take({1, 2}, "a").outcome == verdict::handled);
  CAF_CHECK(fresh(x.take({1, 1}, "b")));
  x.it.handled("Trade", "c", position{1, 1});
  CAF_CHECK(fresh(x.take({1, 1}, "c")));
}

CAF_TEST(limits of 0 are 1) {
  tracker x{{.max_ranges = 0, .max_ranges_in_all = 0, .max_streams = 0, .max_epochs = 0}};
  CAF_CHECK(fresh(x.take({1, 1})));
  CAF_CHECK(x.take({1, 1}).outcome == verdict::handled);
  CAF_CHECK(fresh(x.take({1, 2})));
  CAF_CHECK(fresh(x.take({1, 1}, "l")));
  CAF_CHECK_EQUAL(x.it.size(), 1u);
}

// -- silence ------------------------------------------------------------------------------

CAF_TEST(silence is told once until the stream speaks again) {
  stream_tracker x;
  using list = std::vector<stream_stale>;
  x.arrived("Trade", "a", position{1, 1}, start);
  x.arrived("Trade", "b", std::nullopt, start + 2s);
  CAF_CHECK(x.stale(start + 4s, 5s).empty());
  CAF_CHECK((x.stale(start + 5s, 5s) == list{{"Trade", "a", 5s}}));
  CAF_CHECK(x.stale(start + 6s, 5s).empty());
  CAF_CHECK((x.stale(start + 8s, 5s) == list{{"Trade", "b", 6s}}));
  // A copy shows that the publisher lives as well.
  x.arrived("Trade", "a", position{1, 1}, start + 9s);
  CAF_CHECK(x.stale(start + 10s, 5s).empty());
  CAF_CHECK((x.stale(start + 14s, 5s) == list{{"Trade", "a", 5s}}));
}

// -- all at once --------------------------------------------------------------------------

CAF_TEST(a tracker can be moved) {
  stream_tracker x;
  x.arrived("Trade", "k", position{1, 1}, start);
  auto y = std::move(x);
  CAF_CHECK(y.arrived("Trade", "k", position{1, 1}, start).outcome == verdict::in_hand);
  CAF_CHECK(fresh(y.arrived("Trade", "l", position{1, 1}, start)));
}

namespace {

/// Remembers everything for ever, and asks the limits at each question.
struct plain_tracker {
  struct publisher {
    std::uint64_t highest = 0;
    std::map<std::uint64_t, verdict> known;
  };

  struct stream {
    std::map<std::uint64_t, publisher> publishers;
    std::uint64_t newest = 0;
    int last_spoke = 0;
    bool told = false;
  };

  stream_limits limits;
  std::map<std::string, stream> streams;

  publisher* find(const std::string& key, position x) {
    auto i = streams.find(key);
    if (i == streams.end())
      return nullptr;
    auto j = i->second.publishers.find(x.epoch);
    if (j == i->second.publishers.end() || x.sequence > j->second.highest)
      return nullptr;
    return &j->second;
  }

  void make_room(const std::string& key) {
    if (streams.count(key) || streams.size() < limits.max_streams)
      return;
    auto oldest = streams.begin();
    for (auto i = streams.begin(); i != streams.end(); ++i)
      if (i->second.last_spoke < oldest->second.last_spoke)
        oldest = i;
    streams.erase(oldest);
  }

  stream_tracker::arrival arrived(const std::string& key, position x, int now) {
    make_room(key);
    auto& from = streams[key];
    from.last_spoke = now;
    from.told = false;
    stream_tracker::arrival result;
    if (!from.publishers.count(x.epoch)) {
      const auto newer = !from.publishers.empty() && x.epoch > from.newest;
      if (newer)
        result.before.emplace_back(stream_restarted{"Trade", key, x.epoch});
      from.newest = std::max(from.newest, x.epoch);
      from.publishers[x.epoch].highest = newer ? 0 : x.sequence - 1;
      if (from.publishers.size() > limits.max_epochs)
        from.publishers.erase(from.publishers.begin());
      if (!from.publishers.count(x.epoch))
        return result;
    }
    auto& publisher = from.publishers[x.epoch];
    if (x.sequence > publisher.highest + 1)
      result.before.emplace_back(stream_gap{"Trade", key, publisher.highest + 1, x.sequence - 1});
    publisher.highest = std::max(publisher.highest, x.sequence);
    if (!find(key, x))
      return result;
    if (auto i = publisher.known.find(x.sequence); i != publisher.known.end())
      result.outcome = i->second;
    else
      publisher.known[x.sequence] = verdict::in_hand;
    return result;
  }

  void handled(const std::string& key, position x) {
    if (auto publisher = find(key, x))
      publisher->known[x.sequence] = verdict::handled;
  }

  void failed(const std::string& key, position x) {
    auto publisher = find(key, x);
    if (publisher && publisher->known.count(x.sequence)
        && publisher->known[x.sequence] == verdict::in_hand)
      publisher->known.erase(x.sequence);
  }

  std::vector<stream_stale> stale(int now, int max_age) {
    std::map<int, std::string> by_time;
    for (auto& [key, x] : streams)
      if (now - x.last_spoke >= max_age && !std::exchange(x.told, true))
        by_time.emplace(x.last_spoke, key);
    std::vector<stream_stale> result;
    for (auto& [time, key] : by_time)
      result.push_back({"Trade", key, std::chrono::milliseconds{now - time}});
    return result;
  }
};

} // namespace

// Random publishers, failures and copies, each answer compared with the plain tracker's.
CAF_TEST(a tracker answers as one that remembers everything) {
  std::map<verdict, int> seen;
  std::size_t told = 0;
  for (auto seed = 0u; seed < 60; ++seed) {
    std::mt19937 random{seed};
    const stream_limits limits{.max_streams = 1 + random() % 5, .max_epochs = 1 + random() % 3};
    stream_tracker x{limits};
    plain_tracker model{.limits = limits};
    std::map<std::pair<std::string, std::uint64_t>, std::uint64_t> published;
    std::uint64_t newest_epoch = 1;
    for (auto now = 1; now < 2'000; ++now) {
      const std::string key{"abcd"[random() % 4]};
      const auto epoch = 1 + (newest_epoch - 1) * (random() % 4) / 3;
      auto& last = published[{key, epoch}];
      const position at{epoch, 1 + last - std::min<std::uint64_t>(last, random() % 16)};
      const auto time = start + std::chrono::milliseconds{now};
      switch (random() % 8) {
      case 0:
        x.handled("Trade", key, at);
        model.handled(key, at);
        break;
      case 1:
        x.failed("Trade", key, at);
        model.failed(key, at);
        break;
      case 2: {
        const auto expected = model.stale(now, 20);
        CAF_REQUIRE(x.stale(time, 20ms) == expected);
        told += expected.size();
        break;
      }
      default: {
        last = std::max(last, at.sequence) + random() % 2 * (random() % 3);
        const position arrives{epoch,
                               std::max<std::uint64_t>(1, random() % 2 ? last : at.sequence)};
        const auto expected = model.arrived(key, arrives, now);
        const auto found = x.arrived("Trade", key, arrives, time);
        CAF_REQUIRE(found.outcome == expected.outcome);
        CAF_REQUIRE(found.before == expected.before);
        ++seen[found.outcome];
        told += found.before.size();
        newest_epoch += random() % 50 == 0;
      }
      }
      CAF_REQUIRE_EQUAL(x.size(), model.streams.size());
    }
  }
  // The steps reach what they are to test.
  for (auto what : {verdict::fresh, verdict::handled, verdict::in_hand})
    CAF_CHECK_GREATER(seen[what], 1'000);
  CAF_CHECK_GREATER(told, 1'000u);
}
