#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "actors/amqp/topology.hpp"

namespace actors {

/// Decides which consumers share a channel. RabbitMQ closes the channel when it refuses a consumer,
/// and does not name the consumer. The suspects are therefore started apart from the others, by
/// halves, until the culprit is found.
///
///     shared --(the channel fell while it was being started, or twice in a minute)-->
///       half --> ... --> alone --(its own channel fell)--> the culprit
///
/// Consumers of replicated queues share no channel with others: such a queue may have no leader,
/// and then blocks its channel, which RabbitMQ does not end with the connection either. A consumer
/// that was alone stays alone. A consumer to be started joins no channel whose consumers have long
/// been running, so that it cannot harm them. A plain value.
class consumer_groups {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// The number of groups that unsuspected consumers share. A strategy that subscribes now and then
  /// over days harms no running consumer; RabbitMQ allows 2,047 channels by default.
  static constexpr std::uint32_t max_shared = 512;
  /// A shared group takes others for this time after its first consumer runs.
  static constexpr std::chrono::milliseconds open_for{1'000};
  /// A consumer whose channel falls twice within this time is a suspect.
  static constexpr std::chrono::seconds doubt_for{60};

  /// Returns the group in which to start a consumer that does not run.
  std::uint32_t join(amqp::consumer_id id, time_point now, bool replicated = false);

  /// The broker has started the consumer.
  void started(amqp::consumer_id id, time_point now);

  /// The consumer does not run any more, or was refused.
  void left(amqp::consumer_id id);

  /// The consumer is not wanted any more.
  void forget(amqp::consumer_id id);

  /// The channel of these consumers fell: all of them are to be started again, except the culprit.
  /// Returns the culprit, if it is known now.
  std::optional<amqp::consumer_id> fell(const std::vector<amqp::consumer_id>& ids, time_point now);

  /// Whether some consumers that are to be alone share a channel: the broker allows too few
  /// channels.
  bool is_crowded() const noexcept {
    return crowded_;
  }

  /// Whether a consumer may be started now: of the consumers that are to be alone and share a
  /// channel, only one starts at a time.
  bool may_start(amqp::consumer_id id) const;

  /// The link has ended: all consumers begin anew, except those refused while alone.
  void clear();

  /// Limits the channels of all groups together; 0 is no limit.
  void limit_channels(std::uint32_t count) noexcept;

private:
  enum class stage : std::uint8_t { idle, starting, running };

  struct member {
    std::uint32_t group = 0;
    stage now = stage::idle;
    /// The member's group is chosen by suspicion.
    bool suspected = false;
    /// The member shares its group with no other.
    bool alone = false;
    /// The time at which its channel fell for an unknown reason.
    std::optional<time_point> fell_at = std::nullopt;
  };

  using member_entry = std::map<amqp::consumer_id, member>::value_type;

  struct shared_group {
    std::uint32_t running = 0;
    /// The time since which a member runs.
    time_point since;
  };

  std::uint32_t choose_shared(time_point now, bool replicated) const;
  shared_group* shared(const member& consumer) noexcept;
  void leave(member& consumer) noexcept;
  static std::vector<member_entry*> doubt(const std::vector<member_entry*>& fallen, time_point now);
  void part(const std::vector<member_entry*>& suspects);

  std::map<amqp::consumer_id, member> members_;
  std::array<shared_group, max_shared> shared_;
  std::uint32_t shared_count_ = max_shared;
  std::uint32_t last_group_ = max_shared;
  bool crowded_ = false;
};

} // namespace actors
