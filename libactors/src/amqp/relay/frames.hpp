#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "amqp/link/link.hpp"
#include "amqp/transport.hpp"

/// The frames between a strategy's host and its relay. A frame is a size (four bytes, big
/// endian, of all that follows), a type (one byte) and fields, one after the other: numbers big
/// endian, doubles as their bits, texts and lists preceded by their size. `docs/messages.md` has
/// the table.
namespace actors::amqp {

/// The version of the protocol; a link needs the same version on both sides. The number grows
/// with every change of a frame, but `relay_hello` and `relay_refusal` stay as they are.
constexpr std::uint16_t relay_protocol = 2;

/// The largest first frame of either side, in bytes.
constexpr std::size_t max_hello_size = 1024;

/// The largest frame that a relay takes by default, and so the largest message with its
/// properties, in bytes.
constexpr std::size_t default_relay_frame = 16 * 1024 * 1024;

/// The largest frame that a host takes by default, in bytes.
constexpr std::size_t default_host_frame = 32 * 1024 * 1024;

/// The lowest limit that a host may set for its frames, in bytes.
constexpr std::size_t smallest_host_frame = 64 * 1024;

/// The number of bytes of the size before each frame.
constexpr std::size_t frame_size_bytes = 4;

/// A peer that is silent for this many heartbeats counts as gone.
constexpr int silent_heartbeats = 3;

// -- from a strategy's host ---------------------------------------------------------

struct relay_hello {
  /// A fixed text that tells a peer of another kind at once.
  std::string magic = "libactors";
  std::uint16_t protocol = relay_protocol;
  /// The version of libactors, for a log.
  std::string software;
  /// The name of the link, for a log.
  std::string name;
  /// The time between two heartbeats of either side; 0 turns them off.
  std::uint32_t heartbeat_ms = 0;
};

/// The frame after the hello: the limits of the host, and the limits of the broker as former
/// links found them.
struct relay_tune {
  /// The largest frame that the host takes.
  std::uint32_t max_frame = default_host_frame;
  broker_limits known;
};

/// The number of deliveries that the host has taken in all, which makes room for more.
struct relay_credit {
  std::uint64_t taken = 0;
};

struct relay_heartbeat {};

using host_frame = std::variant<relay_hello, request_command, publish_command, settle_command,
                                relay_credit, close_command, relay_heartbeat, relay_tune>;

// -- from a relay --------------------------------------------------------------------

/// The reason why the relay refuses the link; no frame follows.
struct relay_refusal {
  std::uint16_t protocol = relay_protocol;
  failure reason;
};

/// The relay's link to its broker is up.
struct relay_welcome {
  std::string broker;
  /// The largest frame that the relay takes.
  std::uint32_t max_frame = default_relay_frame;
};

struct relay_deliveries {
  std::uint32_t generation = 0;
  std::vector<delivery> items;
};

struct relay_confirmations {
  std::vector<confirmation> items;
};

struct relay_blocked {
  std::string reason;
};

struct relay_unblocked {};

struct relay_cancelled {
  consumer_id id = 0;
};

struct relay_refused {
  std::uint64_t publication = 0;
  failure reason;
};

struct relay_suspected {
  std::vector<request_id> requests;
};

/// The relay's link to its broker has ended; no frame follows.
struct relay_down {
  failure reason;
};

using relay_frame =
    std::variant<relay_refusal, relay_welcome, reply, relay_deliveries, relay_confirmations,
                 returned_message, relay_blocked, relay_unblocked, relay_cancelled, closed_channel,
                 relay_down, relay_heartbeat, relay_refused, relay_suspected, broker_limits>;

// -- as bytes --------------------------------------------------------------------------

void append(std::string& out, const host_frame& x);
void append(std::string& out, const relay_frame& x);

/// Decodes type and fields; returns nothing if they are malformed.
std::optional<host_frame> decode_host_frame(std::string_view bytes);
std::optional<relay_frame> decode_relay_frame(std::string_view bytes);

/// Finds the frames in a stream of bytes.
class frame_reader {
public:
  explicit frame_reader(std::size_t max_size) noexcept : max_size_(max_size) {
    // nop
  }

  void max_size(std::size_t x) noexcept {
    max_size_ = x;
  }

  void add(std::string_view bytes);

  /// Returns type and fields of the next complete frame, valid until the next `add`.
  std::optional<std::string_view> next();

  /// Returns the size of the next frame if it is empty or larger than allowed; nothing can be
  /// read after that.
  std::optional<std::size_t> wrong_size() const noexcept;

private:
  std::size_t size_of_next() const noexcept;

  std::string bytes_;
  std::size_t offset_ = 0;
  std::size_t max_size_;
};

} // namespace actors::amqp
