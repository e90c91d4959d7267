#define CAF_SUITE topology_state_storm

#include <algorithm>
#include <random>

#include "topology_state_fixture.hpp"

using namespace actors;
using namespace topology_state_test;

namespace {

/// Wants, drops, refusals and losses by a seed, with answers arriving at any
/// time; then the broker is in good health, and all must agree with it.
struct storm {
  explicit storm(fixture& f, std::uint32_t seed) : f(f), random(seed) {
    f.broker.exchanges["clash"] = amqp::exchange_type::fanout;
    f.broker.queues["q3"].auto_delete = false;
  }

  std::size_t below(std::size_t n) {
    return random() % n;
  }

  std::string exchange() {
    static const std::array<const char*, 4> names{"E", "F", "G", "clash"};
    return names[below(names.size())];
  }

  std::string key() {
    return std::string(1, static_cast<char>('a' + below(3)));
  }

  void fail_sometimes() {
    f.broker.fault = [this](const amqp::operation& x) {
      static constexpr std::array codes{ec::access_refused, ec::not_found, ec::precondition_failed,
                                        ec::resource_locked, ec::syntax_error};
      // To end something is never refused.
      if (std::holds_alternative<amqp::unbind_queue>(x)
          || std::holds_alternative<amqp::cancel_consumer>(x))
        return ec::none;
      return below(8) == 0 ? codes[below(codes.size())] : ec::none;
    };
  }

  void change_wishes() {
    if (wishes.size() < 2 || below(3) == 0) {
      const auto id = wishes.size() < 6 && below(2) == 0 ? ++last_id : any();
      if (id > 0 && (id == last_id || wishes.count(id) > 0)) {
        const auto e = exchange();
        const auto k = key();
        wishes[id].emplace(e, k);
        f.want(id, e, k);
      }
    } else if (const auto id = any(); below(3) == 0) {
      wishes.erase(id);
      f.unwant(id);
    } else {
      const auto [e, k] = *wishes[id].begin();
      wishes[id].erase({e, k});
      if (wishes[id].empty())
        wishes.erase(id);
      f.unwant(id, e, k);
    }
  }

  amqp::consumer_id any() {
    return wishes.empty()
               ? 0
               : std::next(wishes.begin(), static_cast<int>(below(wishes.size())))->first;
  }

  void disturb() {
    switch (below(4)) {
    case 0:
      if (up)
        f.down();
      else
        f.up();
      up = !up;
      break;
    case 1:
      if (!f.broker.queues.empty())
        f.broker.delete_queue(
            std::next(f.broker.queues.begin(), static_cast<int>(below(f.broker.queues.size())))
                ->first);
      break;
    case 2:
      if (up) {
        f.broker.close(static_cast<std::uint32_t>(below(3)), {ec::precondition_failed, "no"});
      }
      break;
    default:
      f.x.retry();
      f.follow();
    }
  }

  void step() {
    const auto choice = below(40);
    if (choice < 4)
      change_wishes();
    else if (choice == 4)
      disturb();
    else if (choice == 5)
      f.pass(std::chrono::milliseconds{below(3'000)});
    else if (below(3) == 0 && !f.broker.events.empty())
      f.deliver();
    else
      serve_one();
  }

  /// One request of any channel.
  void serve_one() {
    std::vector<std::size_t> busy;
    for (auto& [channel, waiting] : f.broker.channels)
      if (!waiting.empty())
        busy.push_back(channel);
    if (!busy.empty())
      f.broker.serve(busy[below(busy.size())]);
  }

  void calm() {
    f.heal();
    if (!up)
      f.up();
    up = true;
    f.run();
    for (auto i = 0; i < 5 && !f.x.refused().empty(); ++i) {
      f.x.retry();
      f.follow();
      f.run();
    }
  }

  /// A queue that had no consumer yet outlives its link, with bindings that
  /// were dropped meanwhile; a broker that started anew has none.
  void restart_broker() {
    f.down();
    f.broker.queues.clear();
    f.broker.exchanges.clear();
    f.up();
    f.run();
  }

  void check(bool exactly) {
    CAF_REQUIRE(f.x.refused().empty());
    CAF_REQUIRE(f.x.exchanges_settled());
    CAF_REQUIRE_EQUAL(f.x.running(), wishes.size());
    CAF_REQUIRE_EQUAL(f.broker.consumers.size(), wishes.size());
    for (auto& [id, bindings] : wishes) {
      const auto i = f.broker.consumers.find(id);
      CAF_REQUIRE(i != f.broker.consumers.end());
      const auto& there = f.broker.queues[i->second].bindings;
      CAF_REQUIRE(std::includes(there.begin(), there.end(), bindings.begin(), bindings.end()));
      CAF_REQUIRE(!exactly || there == bindings);
      CAF_REQUIRE(f.bound[id] == bindings);
    }
  }

  fixture& f;
  std::mt19937 random;
  known_bindings wishes;
  amqp::consumer_id last_id = 0;
  bool up = false;
};

} // namespace

CAF_TEST(broker and topology_state agree whenever it is calm) {
  for (auto seed = 1u; seed <= 100; ++seed) {
    CAF_MESSAGE("seed " << seed);
    fixture f;
    storm weather{f, seed};
    for (auto day = 0; day < 10; ++day) {
      weather.fail_sometimes();
      for (auto step = 0; step < 200; ++step)
        weather.step();
      weather.calm();
      weather.check(false);
    }
    weather.restart_broker();
    weather.check(true);
  }
}
