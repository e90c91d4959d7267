#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "amqp/channel_division.hpp"
#include "amqp/link/link.hpp"
#include "amqp/rabbitmq/requests.hpp"
#include "amqp/transport.hpp"

namespace actors::amqp {

/// A message that arrives frame by frame.
struct arriving {
  enum class kind : std::uint8_t { none, delivered, returned };

  kind type = kind::none;
  bool has_header = false;
  std::uint64_t missing = 0;
  amqp::delivery delivery;
  failure reason;
};

/// One channel of a connection.
struct line {
  std::uint16_t number = 0;
  /// Whether we have opened the channel, and the broker has not closed it since.
  bool open = false;
  /// Whether the broker has closed the channel and not opened it again yet. Frames that still
  /// arrive belong to the channel's former life.
  bool closed = false;
  /// Requests that the broker has not answered, in the order of sending.
  std::deque<request_command> items;
  /// The earliest moment at which the broker could have begun the first request.
  link_protocol::time_point since;
  arriving incoming;

  // -- for consumers ------------------------------------------------------------

  /// The group of the channel's consumers, while there are any.
  std::uint32_t group = 0;
  /// The life of the channel's deliveries; 0 if the channel has none.
  std::uint32_t generation = 0;
  /// The prefetch count of the present life; a new life has none.
  std::optional<std::uint16_t> prefetch_count;
  /// Consumers that run or were requested, and whether each is being cancelled.
  std::map<consumer_name, bool> consumers;
  /// Deliveries of the present life that were not raised yet.
  std::vector<delivery> arrived;

  // -- for publications ---------------------------------------------------------

  /// Whether the present life has carried publications.
  bool publishes = false;
};

/// The channels of a connection, and the load of each (see `channel_division`).
class channel_plan {
public:
  channel_plan();

  /// Sets how many channels the broker allows, and how many consumers on each; 0 means no limit.
  void limit(std::uint16_t channels, std::uint32_t consumers_per_channel);

  /// Returns the channel of that number; null if it was never needed.
  line* find(std::uint16_t number) noexcept {
    return number < lines_.size() ? lines_[number].get() : nullptr;
  }

  line& publishing() noexcept {
    return *lines_[numbers_.publishing];
  }

  /// Returns the channel for a request about topology, which carries the request until `left`.
  /// Requests about one queue stay on one channel, hence in order; requests about exchanges are
  /// few and have the first channel.
  line& topology(const operation& request, link_protocol::time_point now);

  /// Notes that the request has been answered.
  void left(const operation& x);

  /// Returns a channel for a consumer: the channel of its group, an unused one, a further one,
  /// or at last one that groups share. The result is null if no channel may have one more
  /// consumer.
  line* delivering(std::uint32_t group);

  /// Whether the channel carries requests about topology and nothing else.
  bool is_for_topology_alone(const line& x) const noexcept {
    return x.number != numbers_.publishing && x.number != numbers_.deliveries
           && (x.number == numbers_.topology || x.number < numbers_.first_further);
  }

  /// The number of open channels.
  std::uint16_t open() const noexcept;

  std::uint16_t allowed() const noexcept {
    return numbers_.allowed;
  }

  /// Calls `f` with each channel that was needed so far.
  template <class F>
  void for_each(F f) const {
    for (auto& x : lines_)
      if (x)
        f(*x);
  }

private:
  /// The one channel that carries the open requests about a queue of the broker.
  struct channel_lane {
    line* on = nullptr;
    std::size_t requests = 0;
  };

  line& make(std::uint16_t number);
  line& emptiest_topology(link_protocol::time_point now);
  bool has_room(const line& candidate) const noexcept;

  channel_division numbers_{0};
  std::uint32_t consumers_per_channel_ = 0;
  /// The channels by their numbers; null for a channel that was never needed.
  std::vector<std::unique_ptr<line>> lines_;
  std::vector<line*> for_topology_;
  std::vector<line*> for_deliveries_;
  /// The lanes by the name of the broker's queue.
  std::unordered_map<std::string, channel_lane> lanes_;
};

} // namespace actors::amqp
