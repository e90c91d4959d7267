#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <variant>
#include <vector>

#include "amqp/transport.hpp"

namespace actors::amqp {

// -- what a link is told ----------------------------------------------------------

struct request_command {
  request_id id = 0;
  operation what;
};

struct publish_command {
  std::uint32_t incarnation = 0;
  std::vector<publication> items;
};

struct settle_command {
  std::uint32_t incarnation = 0;
  std::vector<settlement> items;
};

struct close_command {};

using command = std::variant<request_command, publish_command, settle_command, close_command>;

// -- what it says ------------------------------------------------------------------

/// One connection's protocol, without the connection: bytes and time points go in,
/// bytes and `sink` events come out. It has no thread, no socket and no clock.
class conversation {
public:
  using time_point = std::chrono::steady_clock::time_point;

  virtual ~conversation() = default;

  /// Carries out a command, or keeps it until the handshake is done.
  virtual void execute(command x, time_point now) = 0;

  /// Takes what the peer sent.
  virtual void feed(std::string_view bytes, time_point now) = 0;

  /// Does what time asks for: heartbeats, and giving up.
  virtual void tick(time_point now) = 0;

  /// When `tick` must be called next.
  virtual time_point deadline() const = 0;

  /// The bytes that wait to be sent.
  virtual std::string_view output() const noexcept = 0;

  /// Notes that the first `size` bytes of the output were sent.
  virtual void consume(std::size_t size, time_point now) = 0;

  /// Notes that the connection ended.
  virtual void lost(failure why) = 0;

  /// Whether `sink::down` was raised, the last event.
  virtual bool is_down() const noexcept = 0;
};

/// Begins a conversation at the moment the connection was made.
using conversation_starter = std::function<std::unique_ptr<conversation>(
    const endpoint&, std::shared_ptr<sink>, conversation::time_point)>;

/// A link over TCP, or TLS where the endpoint's scheme asks for it. The socket
/// belongs to one thread of the link, which waits for bytes, for room to send, for
/// commands and for the next deadline in one `poll`, so that no wait is without limit
/// and none spins. It runs the sink's `receivers`; a second thread takes its place when
/// they need long.
transport_ptr make_link(conversation_starter start);

} // namespace actors::amqp
