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

// -- commands of a link -----------------------------------------------------------

struct request_command {
  request_id id = 0;
  operation op;
};

struct publish_command {
  std::uint32_t generation = 0;
  std::vector<publication> items;
};

struct settle_command {
  std::uint32_t generation = 0;
  std::vector<settlement> items;
};

struct close_command {};

using command = std::variant<request_command, publish_command, settle_command, close_command>;

// -- its protocol --------------------------------------------------------------------

/// One connection's protocol, without the connection: bytes and time points go in,
/// bytes and `link_listener` events come out. It has no thread, no socket and no clock.
class link_protocol {
public:
  using time_point = std::chrono::steady_clock::time_point;

  virtual ~link_protocol() = default;

  /// Carries out a command, or keeps it until the handshake is done.
  virtual void execute(command wanted, time_point now) = 0;

  /// Takes bytes that the peer sent.
  virtual void feed(std::string_view bytes, time_point now) = 0;

  /// Sends heartbeats that are due, and ends the link when a time limit has passed.
  virtual void tick(time_point now) = 0;

  /// The time at which `tick` must be called next.
  virtual time_point deadline() const = 0;

  /// The bytes that wait to be sent.
  virtual std::string_view output() const noexcept = 0;

  /// Notes that the first `size` bytes of the output were sent.
  virtual void consume(std::size_t size, time_point now) = 0;

  /// Notes that the connection ended.
  virtual void lost(failure why) = 0;

  /// Whether `link_listener::down` was raised, the last event.
  virtual bool is_down() const noexcept = 0;
};

/// Creates the protocol of a connection; the time point is the moment the connection was made.
using protocol_starter = std::function<std::unique_ptr<link_protocol>(
    const endpoint&, std::shared_ptr<link_listener>, link_protocol::time_point)>;

/// Makes a link over TCP, or over TLS where the endpoint's scheme asks for it. One thread owns
/// the socket and waits for bytes, room to send, commands and the next deadline in one `poll`,
/// so that no wait is without limit and none spins. That thread also runs the listener's run
/// queue; a second thread takes over the link when the actors take long.
transport_ptr make_link(protocol_starter start);

} // namespace actors::amqp
