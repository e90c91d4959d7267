#define CAF_SUITE ack_window

#include "delivery/ack_window.hpp"

#include <map>
#include <random>
#include <string>

#include "caf/test/dsl.hpp"

using namespace actors;
using amqp::settlement;
using verdict = settlement::verdict;

namespace {

/// A channel as RabbitMQ keeps it: a settlement of a tag that is not
/// unacknowledged closes the channel.
struct channel {
  std::map<std::uint64_t, verdict> decided;
  std::map<std::uint64_t, bool> unacknowledged;
  std::string error;

  void apply(const settlement& x) {
    auto last = unacknowledged.find(x.tag);
    if (last == unacknowledged.end()) {
      error = "unknown delivery tag " + std::to_string(x.tag);
      return;
    }
    auto first = x.multiple ? unacknowledged.begin() : last;
    for (auto i = first; i != std::next(last); ++i)
      decided[i->first] = x.outcome;
    unacknowledged.erase(first, std::next(last));
  }
};

ack_window window_of(std::uint64_t count) {
  ack_window result;
  for (std::uint64_t tag = 1; tag <= count; ++tag)
    result.open(tag);
  return result;
}

using list = std::vector<settlement>;

} // namespace

CAF_TEST(nothing settled is nothing to send) {
  auto x = window_of(3);
  CAF_CHECK(x.flush().empty());
  CAF_CHECK_EQUAL(x.open_count(), 3u);
}

CAF_TEST(one acknowledgement covers all up to the first open delivery) {
  auto x = window_of(4);
  for (auto tag : {3u, 1u, 2u})
    CAF_CHECK(x.settle(tag, verdict::ack));
  CAF_CHECK(x.flush() == (list{{3, verdict::ack, true}}));
  CAF_CHECK(x.flush().empty());
  CAF_CHECK_EQUAL(x.open_count(), 1u);
}

CAF_TEST(a single acknowledgement is not multiple) {
  auto x = window_of(1);
  x.settle(1, verdict::ack);
  CAF_CHECK(x.flush() == (list{{1, verdict::ack, false}}));
}

// The slow one must not keep back the credit of the others.
CAF_TEST(behind an open delivery each is acknowledged by itself) {
  auto x = window_of(4);
  x.settle(2, verdict::ack);
  x.settle(4, verdict::ack);
  CAF_CHECK(x.flush() == (list{{2, verdict::ack}, {4, verdict::ack}}));
  x.settle(1, verdict::ack);
  x.settle(3, verdict::ack);
  CAF_CHECK(x.flush() == (list{{3, verdict::ack, true}}));
}

CAF_TEST(refusals go ahead so that no acknowledgement covers them) {
  auto x = window_of(4);
  x.settle(1, verdict::ack);
  x.settle(2, verdict::requeue);
  x.settle(3, verdict::reject);
  x.settle(4, verdict::ack);
  CAF_CHECK(x.flush()
            == (list{{2, verdict::requeue}, {3, verdict::reject}, {4, verdict::ack, true}}));
}

CAF_TEST(a delivery is settled once) {
  auto x = window_of(2);
  CAF_CHECK(!x.settle(3, verdict::ack));
  CAF_CHECK(x.settle(2, verdict::ack));
  CAF_CHECK(!x.settle(2, verdict::reject));
  x.flush();
  CAF_CHECK(!x.settle(2, verdict::ack));
  CAF_CHECK_EQUAL(x.open_count(), 1u);
}

// Tags of deliveries without acknowledgement leave gaps.
CAF_TEST(what is sent settles exactly what was decided) {
  for (auto seed = 0u; seed < 50; ++seed) {
    std::mt19937 random{seed};
    auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
    ack_window x;
    channel broker;
    std::map<std::uint64_t, verdict> decided;
    std::vector<std::uint64_t> open;
    std::uint64_t last_tag = 0;
    for (auto step = 0; step < 2'000 && broker.error.empty(); ++step) {
      switch (below(5)) {
      case 0:
      case 1:
        last_tag += 1 + (below(4) == 0 ? below(3) : 0);
        x.open(last_tag);
        open.push_back(last_tag);
        broker.unacknowledged[last_tag] = true;
        break;
      case 2:
      case 3:
        if (!open.empty()) {
          const auto i = open.begin() + static_cast<std::ptrdiff_t>(below(open.size()));
          const auto what =
              below(4) > 0 ? verdict::ack : verdict{static_cast<std::uint8_t>(below(3))};
          CAF_REQUIRE(x.settle(*i, what));
          decided[*i] = what;
          open.erase(i);
        }
        break;
      default:
        for (auto& settlement : x.flush())
          broker.apply(settlement);
        CAF_REQUIRE_EQUAL(broker.error, "");
        CAF_REQUIRE(broker.decided == decided);
        CAF_REQUIRE_EQUAL(x.open_count(), broker.unacknowledged.size());
      }
    }
  }
}
