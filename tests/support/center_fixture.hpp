#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>

#include "actors/error.hpp"
#include "actors/event_center.hpp"
#include "actors/system_config.hpp"
#include "support/test_broker.hpp"

#include "caf/test/dsl.hpp"

/// An event center on a real broker, and what its tests wait with. For suites: include
/// it behind `#define CAF_SUITE`.
namespace actors::testing {

/// Longer than anything takes that works at all.
constexpr auto patience = std::chrono::seconds{60};

/// Whether something that is asked again and again comes true within the limit.
template <class Predicate>
bool eventually(Predicate holds, std::chrono::milliseconds limit = patience,
                std::chrono::milliseconds pause = std::chrono::milliseconds{5}) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline)
      return false;
    std::this_thread::sleep_for(pause);
  }
  return true;
}

inline config settings_for_tests(const std::string& url = test_broker::url()) {
  config result;
  auto where = amqp::parse_endpoint(url);
  CAF_REQUIRE(where);
  result.endpoints = {*where};
  result.server_id = unique_name("test");
  result.reconnect.limit = std::chrono::milliseconds{500};
  result.log.level = log_level::error;
  return result;
}

struct center_fixture {
  explicit center_fixture(config settings = settings_for_tests())
      : sys(cfg), center(sys, std::move(settings)) {
    // nop
  }

  ~center_fixture() {
    for (auto& x : strategies)
      caf::anon_send_exit(x, caf::exit_reason::user_shutdown);
  }

  center_status status() {
    center_status result;
    caf::scoped_actor self{sys};
    center.status(self).receive([&](const center_status& x) { result = x; },
                                [](const caf::error& err) { CAF_FAIL(text_of(err)); });
    return result;
  }

  link_status link(link_role role) {
    for (auto& x : status().supervisor.links)
      if (x.role == role)
        return x;
    CAF_FAIL("there is no such link");
  }

  /// Whether both links come up.
  bool comes_up() {
    return eventually([this] {
      return link(link_role::consuming).state == link_state::up
             && link(link_role::publishing).state == link_state::up;
    });
  }

  actors::system_config cfg;
  caf::actor_system sys;
  scoped_event_center center;
  std::vector<caf::actor> strategies;
};

/// What the strategies of a test have seen, for the test's thread to wait on.
class journal {
public:
  void add(std::string line) {
    std::unique_lock guard{mutex_};
    lines_.push_back(std::move(line));
    changed_.notify_all();
  }

  /// Whether at least this many lines come within the tests' patience.
  bool wait_for(std::size_t count) {
    std::unique_lock guard{mutex_};
    return changed_.wait_for(guard, patience, [&] { return lines_.size() >= count; });
  }

  bool wait_for(const std::string& line, std::chrono::milliseconds limit = patience) {
    std::unique_lock guard{mutex_};
    return changed_.wait_for(guard, limit, [&] {
      return std::find(lines_.begin(), lines_.end(), line) != lines_.end();
    });
  }

  std::size_t count(const std::string& line) {
    std::unique_lock guard{mutex_};
    return static_cast<std::size_t>(std::count(lines_.begin(), lines_.end(), line));
  }

  std::vector<std::string> lines() {
    std::unique_lock guard{mutex_};
    return lines_;
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> lines_;
};

inline caf::behavior journal_strategy(caf::event_based_actor* self, event_center center,
                                      subscription what, std::shared_ptr<journal> seen,
                                      std::string name) {
  center.subscribe(self, std::move(what))
      .then([=](const subscribed&) { seen->add(name + " subscribed"); },
            [=](const caf::error& err) { seen->add(name + " refused: " + text_of(err)); });
  return {
      [=](const trade& x) { seen->add(name + ' ' + x.symbol + ' ' + std::to_string(x.timestamp)); },
  };
}

/// With strategies that write what they see into a journal.
struct journal_fixture : center_fixture {
  using center_fixture::center_fixture;

  void add(const std::string& name, subscription what) {
    strategies.push_back(
        sys.spawn(journal_strategy, event_center{center}, std::move(what), seen, name));
  }

  /// Publishes a trade again and again until its strategy has one of them: how
  /// a test finds out that a broken subscription is whole again.
  bool comes_through(const std::string& name, const std::string& symbol) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (std::chrono::steady_clock::now() < deadline) {
      publish(symbol, ++last);
      if (seen->wait_for(name + ' ' + symbol + ' ' + std::to_string(last),
                         std::chrono::milliseconds{250}))
        return true;
    }
    return false;
  }

  void publish(const std::string& symbol, std::int64_t stamp) {
    trade x;
    x.platform = "it";
    x.symbol = symbol;
    x.timestamp = stamp;
    center.publish(x);
  }

  std::shared_ptr<journal> seen = std::make_shared<journal>();
  std::int64_t last = 0;
};

} // namespace actors::testing
