#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "actors/amqp/topology.hpp"

namespace actors {

/// Which consumers share a channel. RabbitMQ closes the channel when it refuses one of
/// them, and does not say which: so whom it may be about is asked apart from the others,
/// by halves, until it is found.
///
///     shared --(the channel fell while it was being started, or twice in a minute)-->
///       half --> ... --> alone --(its own channel fell)--> the culprit
///
/// Consumers of replicated queues share none with others: such a queue may have no leader, and
/// then holds up its channel, which RabbitMQ does not end with the connection either. A consumer
/// that was alone stays so. One that is started joins no channel whose
/// consumers have long been running, so that it cannot harm them. A plain value.
class consumer_groups {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// How many groups consumers share that are under no suspicion. Whoever subscribes now and then
  /// over days harms nobody who has been running; RabbitMQ allows 2,047 channels by default.
  static constexpr std::uint32_t max_shared = 512;
  /// How long a shared group takes others after its first consumer runs.
  static constexpr std::chrono::milliseconds open_for{1'000};
  /// Whose channel falls again within this may be to blame for it.
  static constexpr std::chrono::seconds doubt_for{60};

  /// The group in which to start a consumer that does not run.
  std::uint32_t join(amqp::consumer_id id, time_point now, bool replicated = false);

  /// The broker has started it.
  void started(amqp::consumer_id id, time_point now);

  /// It does not run any more, or was refused.
  void left(amqp::consumer_id id);

  /// Nobody wants it any more.
  void forget(amqp::consumer_id id);

  /// The channel of these consumers fell; all of them are to be started again but the
  /// culprit, if it is known now.
  std::optional<amqp::consumer_id> fell(const std::vector<amqp::consumer_id>& xs, time_point now);

  /// Whether some that are to be alone are not: the broker allows too few channels.
  bool is_crowded() const noexcept {
    return crowded_;
  }

  /// Whether it may be started now: of those that are to be alone and are not, one is at
  /// a time.
  bool may_start(amqp::consumer_id id) const;

  /// The link has ended: all begin anew, but for those that were refused when alone.
  void clear();

  /// On so few channels may consumers be, all groups together; 0 is without limit.
  void limit_channels(std::uint32_t count) noexcept;

private:
  enum class stage : std::uint8_t { idle, starting, running };

  struct member {
    std::uint32_t group = 0;
    stage now = stage::idle;
    /// Its group is chosen by suspicion.
    bool suspected = false;
    /// Its group is its own.
    bool alone = false;
    /// When its channel fell for no reason that was found.
    std::optional<time_point> fell_at = std::nullopt;
  };

  using member_entry = std::map<amqp::consumer_id, member>::value_type;

  struct shared_group {
    std::uint32_t running = 0;
    /// Since when one runs.
    time_point since;
  };

  std::uint32_t choose_shared(time_point now, bool replicated) const;
  shared_group* shared(const member& x) noexcept;
  void leave(member& x) noexcept;
  static std::vector<member_entry*> doubt(const std::vector<member_entry*>& xs, time_point now);
  void part(const std::vector<member_entry*>& suspects);

  std::map<amqp::consumer_id, member> members_;
  std::array<shared_group, max_shared> shared_;
  std::uint32_t shared_count_ = max_shared;
  std::uint32_t last_group_ = max_shared;
  bool crowded_ = false;
};

} // namespace actors
