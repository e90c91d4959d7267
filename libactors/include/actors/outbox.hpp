#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string_view>
#include <utility>
#include <vector>

#include "actors/amqp/transport.hpp"

namespace actors {

/// What happens to a publication that finds the outbox full. Whoever loses a
/// message is told.
enum class overflow_policy : std::uint8_t {
  /// The new message is refused (`ec::outbox_full`).
  reject,
  /// The oldest waiting messages make room (`ec::outbox_dropped`).
  drop_oldest,
  /// The new message is dropped (`ec::outbox_dropped`).
  drop_newest,
};

std::string_view to_string(overflow_policy x) noexcept;

/// How much may wait while the link is down or slow.
struct outbox_limits {
  std::size_t max_messages = 10'000;
  std::size_t max_bytes = 64 * 1024 * 1024;
  overflow_policy overflow = overflow_policy::reject;
  /// How many messages may be on the wire unconfirmed.
  std::size_t window = 1'000;

  bool operator==(const outbox_limits&) const = default;
};

/// The messages that the broker has not confirmed yet, in order: first those on
/// the wire, then those that wait. A plain value: it sends nothing.
class outbox {
public:
  explicit outbox(outbox_limits limits) noexcept;

  /// What became of the messages that were not kept.
  struct dropped {
    std::uint64_t id = 0;
    ec reason = ec::none;

    bool operator==(const dropped&) const = default;
  };

  /// Appends a message with an id above all earlier ones. Gives back those that
  /// the overflow policy dropped for it, itself perhaps. Messages on the wire
  /// are never dropped.
  std::vector<dropped> push(amqp::publication x);

  /// The waiting messages that the window has room for; they are on the wire
  /// from now on.
  std::vector<amqp::publication> take();

  /// Removes a message that the broker has answered. False: not on the wire.
  bool settle(std::uint64_t id);

  /// The link is lost: what was on the wire waits again, ahead of the rest.
  void rewind() noexcept;

  /// The first message on the wire with this message id.
  const amqp::publication* on_wire(std::string_view message_id) const noexcept;

  /// The message that has been on the wire for longest, if any.
  const amqp::publication* oldest_on_wire() const noexcept;

  /// Removes everything and gives back the ids, in order.
  std::vector<std::uint64_t> clear();

  std::size_t waiting() const noexcept {
    return entries_.size() - sent_;
  }

  std::size_t unconfirmed() const noexcept {
    return sent_ - settled_;
  }

  std::size_t bytes() const noexcept {
    return bytes_;
  }

private:
  struct entry {
    amqp::publication message;
    bool settled = false;
  };

  bool full_for(std::size_t size) const noexcept;
  bool may_make_room(std::size_t size) const noexcept;
  void drop_oldest(std::vector<dropped>& out);
  void trim();

  outbox_limits limits_;
  /// [0, sent_) on the wire, [sent_, end) waiting; ids ascend.
  std::deque<entry> entries_;
  std::size_t sent_ = 0;
  std::size_t settled_ = 0;
  /// Of the messages that are not settled: all of them, and those on the wire.
  std::size_t bytes_ = 0;
  std::size_t bytes_on_wire_ = 0;
};

} // namespace actors
