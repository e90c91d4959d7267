#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>

#include "actors/event_center.hpp"
#include "actors/system_config.hpp"
#include "soak/rows.hpp"
#include "support/audit.hpp"
#include "support/numbered_actors.hpp"

namespace actors::soak {

/// A mistake put in on purpose, to see that the books show it.
enum class defect : std::uint8_t {
  none,
  /// Copies are handled again.
  no_deduplication,
  /// A message is acknowledged before it is handled.
  early_acknowledgement,
  /// Strategies that fail have more than one message in flight.
  wide_prefetch,
};

struct fleet_settings {
  /// The broker, by way of the proxy.
  std::string url;
  std::chrono::seconds heartbeat{2};
  /// The longest pause between two attempts to connect.
  std::chrono::milliseconds reconnect_limit{1'000};
  soak::defect defect = soak::defect::none;
  log_level log = log_level::critical;
};

/// Four publishers, each with an event center of its own, and the strategies of all rows in
/// two event centers. The publishers share the routing keys, so that up to four take turns in
/// what a strategy sees.
class fleet {
public:
  explicit fleet(const fleet_settings& settings);

  ~fleet();

  fleet(const fleet&) = delete;
  fleet& operator=(const fleet&) = delete;

  testing::audit& books() {
    return *books_;
  }

  /// Whether all subscriptions have their consumers within the tests' patience.
  bool consumes();

  void resume_publishing();
  void pause_publishing();

  // -- the links ------------------------------------------------------------------

  /// The links that events come by: of the strategies' centers those that consume, of the
  /// publishers' those that publish.
  std::vector<link_status> links();

  /// The names of their connections, as the broker sees them.
  std::vector<std::string> link_names() const;

  /// How many of the publishers' messages wait in their outboxes.
  std::uint64_t waiting();

  // -- the strategies -------------------------------------------------------------

  struct strategy {
    std::string name;
    /// What is promised to it holds even if its handler fails.
    bool may_fail = false;
    std::shared_ptr<testing::mood> mood;
  };

  const std::vector<strategy>& strategies() const noexcept {
    return strategies_;
  }

  /// The queues of the strategies.
  std::vector<std::string> queues();

private:
  struct desk {
    std::string name;
    std::unique_ptr<scoped_event_center> center;
  };

  void add_publishers(const fleet_settings& settings);
  void add_strategies(const fleet_settings& settings);
  void add(const row& from, const plan& x, soak::defect what);
  center_status status_of(const desk& x);

  actors::system_config config_;
  caf::actor_system system_;
  std::shared_ptr<testing::audit> books_ = std::make_shared<testing::audit>();
  std::vector<desk> publishing_;
  std::vector<desk> consuming_;
  std::vector<caf::actor> publishers_;
  std::vector<strategy> strategies_;
  /// Each starts its strategy again whenever that ends.
  std::vector<caf::actor> keepers_;
};

/// Whether something that is asked again and again comes true within the patience that
/// the soak has for anything.
bool eventually(const std::function<bool()>& holds);

constexpr auto patience = std::chrono::seconds{60};

} // namespace actors::soak
