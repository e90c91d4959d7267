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
  /// Whether we have opened it, and the broker has not closed it since.
  bool open = false;
  /// The broker has closed it and not opened it again yet. What it still sends there is of
  /// the channel's former life.
  bool closed = false;
  /// Requests that the broker has not answered, in the order they were sent.
  std::deque<request_command> items;
  /// Since when the broker could have been working on the first.
  link_protocol::time_point since;
  arriving incoming;

  // -- for consumers ------------------------------------------------------------

  /// Whose consumers it has, while it has any.
  std::uint32_t group = 0;
  /// The life of its deliveries; 0, if it has none.
  std::uint32_t generation = 0;
  /// That of the present life; a new one has none.
  std::optional<std::uint16_t> prefetch_count;
  /// Those that run or were asked for, and whether they are being cancelled.
  std::map<consumer_name, bool> consumers;
  /// Of the present life, not raised yet.
  std::vector<delivery> arrived;

  // -- for publications ---------------------------------------------------------

  /// Whether any were made in the present life.
  bool publishes = false;
};

/// The channels of a connection, and which of them carries what, see `channel_division`.
class channel_plan {
public:
  channel_plan();

  /// How many channels the broker allows, and consumers on each of them; 0 is any number.
  void limit(std::uint16_t channels, std::uint32_t consumers_per_channel);

  /// Null, if it was never needed.
  line* find(std::uint16_t number) noexcept {
    return number < lines_.size() ? lines_[number].get() : nullptr;
  }

  line& publishing() noexcept {
    return *lines_[numbers_.publishing];
  }

  /// The one that carries a request about topology, until `left`. Requests about one queue
  /// stay on one channel, hence in order; those about exchanges are few and have the first.
  line& topology(const operation& x, link_protocol::time_point now);

  /// The request has been answered.
  void left(const operation& x);

  /// One for a consumer: that of its group, one that nobody uses, a further one, or one that
  /// is shared after all. Null, if none may have one more.
  line* delivering(std::uint32_t group);

  /// Whether it carries requests about topology and nothing else.
  bool is_for_topology_alone(const line& x) const noexcept {
    return x.number != numbers_.publishing && x.number != numbers_.deliveries
           && (x.number == numbers_.topology || x.number < numbers_.first_further);
  }

  /// How many are open.
  std::uint16_t open() const noexcept;

  std::uint16_t allowed() const noexcept {
    return numbers_.allowed;
  }

  /// All that were needed so far.
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
  bool has_room(const line& x) const noexcept;

  channel_division numbers_{0};
  std::uint32_t consumers_per_channel_ = 0;
  /// By their numbers.
  std::vector<std::unique_ptr<line>> lines_;
  std::vector<line*> for_topology_;
  std::vector<line*> for_deliveries_;
  /// By the name of the broker's queue.
  std::unordered_map<std::string, channel_lane> lanes_;
};

} // namespace actors::amqp
