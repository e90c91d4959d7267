#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "actors/amqp/transport.hpp"

namespace actors {

/// What happens to a publication that finds no room in the outbox. Whoever
/// loses a message is told.
enum class overflow_policy : std::uint8_t {
  /// The new message is refused (`ec::outbox_full`).
  reject,
  /// The oldest waiting messages make room (`ec::outbox_dropped`).
  drop_oldest,
  /// The new message is dropped (`ec::outbox_dropped`).
  drop_newest,
  /// The new message is kept aside until there is room. As much as the outbox
  /// may hold can be kept aside; what comes then is refused (`ec::outbox_full`).
  block,
  /// Room or not, a new message replaces the one that waits with the same
  /// routing key and subject (`ec::outbox_dropped`), in its place, so that a busy
  /// key neither overtakes nor starves. A message that has been on the wire is not
  /// replaced: the broker may have it. Without room: as `drop_oldest`.
  latest_per_key,
};

std::string_view to_string(overflow_policy x) noexcept;

/// How many messages and bytes to one exchange may wait, and what happens then.
struct exchange_limits {
  std::size_t max_messages = 10'000;
  std::size_t max_bytes = 64 * 1024 * 1024;
  overflow_policy overflow = overflow_policy::reject;
  /// How long a message is worth sending whose publisher does not say so: one that is
  /// older is not sent (`ec::expired`), and none is delivered later. 0 is for ever.
  std::chrono::milliseconds ttl{0};

  bool operator==(const exchange_limits&) const = default;
};

/// How much may wait while the link is down or slow. Each exchange by itself: a
/// full one stands in no other's way.
struct outbox_limits {
  /// Of each exchange that is not named below.
  exchange_limits each;
  std::map<std::string, exchange_limits, std::less<>> exchanges;
  /// How many messages may be on the wire unconfirmed, of all exchanges.
  std::size_t window = 1'000;
  /// How long the broker may leave the oldest of them without an answer, at least,
  /// before the supervisor takes another link; 0 is for ever.
  std::chrono::milliseconds confirm_timeout{30'000};
  /// How long after a link is back persistent messages that no queue takes are tried
  /// again, if their exchange had queues before: others may not have made their bindings
  /// yet. 0 is not at all.
  std::chrono::milliseconds restore_timeout{30'000};

  bool operator==(const outbox_limits&) const = default;
};

/// The messages that the broker has not confirmed yet, in order: first those on
/// the wire, then those that wait, last those kept aside, which enter at the
/// end, one exchange's in order, as soon as it has room. A plain value: it
/// sends nothing.
class outbox {
public:
  explicit outbox(outbox_limits limits);

  outbox(outbox&&) = default;
  outbox& operator=(outbox&&) = default;

  /// What became of the messages that were not kept.
  struct dropped {
    std::uint64_t id = 0;
    ec reason = ec::none;

    bool operator==(const dropped&) const = default;
  };

  /// Takes a message with an id above all earlier ones. Gives back those that
  /// the overflow policy dropped for it, itself perhaps. Messages on the wire
  /// are never dropped.
  std::vector<dropped> push(amqp::publication x);

  /// The waiting messages that the window has room for; they are on the wire
  /// from now on.
  std::vector<amqp::publication> take();

  /// Removes a message that the broker has answered, and lets those in that
  /// were kept aside for want of its room. False: not on the wire.
  bool settle(std::uint64_t id);

  /// The link is lost: what was on the wire waits again, ahead of the rest.
  void rewind();

  /// The first message on the wire with this message id.
  const amqp::publication* on_wire(std::string_view message_id) const noexcept;

  /// The message that has been on the wire for longest, if any.
  const amqp::publication* oldest_on_wire() const noexcept;

  /// Removes everything and gives it back, ascending by id.
  std::vector<amqp::publication> clear();

  std::size_t waiting() const noexcept {
    return waiting_.size();
  }

  std::size_t unconfirmed() const noexcept {
    return wire_.size();
  }

  /// How many are kept aside. None, if nothing waits or is on the wire.
  std::size_t blocked() const noexcept {
    return blocked_;
  }

  /// Of all messages that are not kept aside.
  std::size_t bytes() const noexcept {
    return bytes_;
  }

private:
  struct lane;

  struct entry {
    amqp::publication message;
    std::size_t size = 0;
    lane* home = nullptr;
  };

  using place = std::list<entry>::iterator;

  /// The messages of one exchange.
  struct lane {
    exchange_limits limits;
    /// Those that wait, in order.
    std::deque<place> waiting;
    /// Those of `waiting` that were never on the wire, by routing key and subject;
    /// kept for `latest_per_key` only.
    std::unordered_map<std::string, place> latest;
    std::deque<entry> blocked;
    std::size_t blocked_bytes = 0;
    /// On the wire and waiting.
    std::size_t messages = 0;
    std::size_t bytes = 0;
    std::size_t messages_on_wire = 0;
    std::size_t bytes_on_wire = 0;

    /// Whether this many messages and bytes are within the limits.
    bool allows(std::size_t messages, std::size_t bytes) const noexcept {
      return messages <= limits.max_messages && bytes <= limits.max_bytes;
    }

    bool has_room(std::size_t size) const noexcept {
      return allows(messages + 1, bytes + size);
    }

    /// Whether there is room beside the messages on the wire: without it nothing
    /// is gained by a drop.
    bool may_make_room(std::size_t size) const noexcept {
      return allows(messages_on_wire + 1, bytes_on_wire + size);
    }
  };

  lane& lane_of(const std::string& exchange);
  std::vector<dropped> push_blocking(entry x);
  std::vector<dropped> push_dropping_oldest(entry x);
  std::vector<dropped> push_latest(entry x);
  place append(entry x);
  /// Drops the oldest that wait, but not `spared`, until the limits hold.
  void shrink(lane& x, place spared, std::vector<dropped>& out);
  void admit_blocked(lane& x);
  /// The message at this place may not be replaced any more.
  static void seal(place x);

  outbox_limits limits_;
  /// By exchange.
  std::unordered_map<std::string, lane> lanes_;
  std::list<entry> wire_;
  std::list<entry> waiting_;
  /// Of `wire_`, by id.
  std::unordered_map<std::uint64_t, place> places_;
  std::size_t bytes_ = 0;
  std::size_t blocked_ = 0;
};

} // namespace actors
