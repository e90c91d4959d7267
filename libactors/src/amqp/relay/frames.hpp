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

/// What a strategy's host and its relay say to each other. A frame is its size (four
/// bytes, big endian, of what follows), its type (one byte) and its fields, one after
/// the other: numbers big endian, doubles as their bits, texts and lists behind their
/// size. `docs/messages.md` has the table.
namespace actors::amqp {

/// Both sides speak the same one, or not at all. Grows with every change of a frame;
/// `relay_hello` and `relay_refusal` stay as they are.
constexpr std::uint16_t relay_protocol = 2;

/// The first frame is no larger, whoever sends it.
constexpr std::size_t max_hello_size = 1024;

/// A frame that a relay takes, and so a message with its properties.
constexpr std::size_t default_relay_frame = 16 * 1024 * 1024;

/// A frame that a host takes.
constexpr std::size_t default_host_frame = 32 * 1024 * 1024;

/// A host takes at least such frames.
constexpr std::size_t smallest_host_frame = 64 * 1024;

/// What stands before each frame: its size.
constexpr std::size_t frame_size_bytes = 4;

/// So many silent heartbeats mean that nobody is there any more.
constexpr int silent_heartbeats = 3;

// -- from a strategy's host ---------------------------------------------------------

struct relay_hello {
  /// "libactors", so that anything else is known at once.
  std::string magic = "libactors";
  std::uint16_t protocol = relay_protocol;
  /// The version of libactors, for a log.
  std::string software;
  /// Whose link this is, for a log.
  std::string name;
  /// Between two signs of life, of either side; 0 is none.
  std::uint32_t heartbeat_ms = 0;
};

/// Follows the hello: what the host takes, and what it knows of the broker by former links.
struct relay_tune {
  /// The largest frame.
  std::uint32_t max_frame = default_host_frame;
  broker_limits known;
};

/// How many deliveries the host has taken in all: there is room for more.
struct relay_credit {
  std::uint64_t taken = 0;
};

struct relay_heartbeat {};

using host_frame = std::variant<relay_hello, request_command, publish_command, settle_command,
                                relay_credit, close_command, relay_heartbeat, relay_tune>;

// -- from a relay --------------------------------------------------------------------

/// Why there is no link. The last frame.
struct relay_refusal {
  std::uint16_t protocol = relay_protocol;
  failure reason;
};

/// The relay's link to its broker is up.
struct relay_welcome {
  std::string broker;
  /// The largest frame that it takes.
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

/// The relay's link to its broker has ended. The last frame.
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

/// Reads type and fields; nothing if they are malformed.
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

  /// Type and fields of the next frame that is complete, valid until the next `add`.
  std::optional<std::string_view> next();

  /// Whether the next frame is larger than allowed, or empty: there is no more to be
  /// read. Its size.
  std::optional<std::size_t> wrong_size() const noexcept;

private:
  std::size_t size_of_next() const noexcept;

  std::string bytes_;
  std::size_t offset_ = 0;
  std::size_t max_size_;
};

} // namespace actors::amqp
