#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/behavior.hpp>
#include <caf/expected.hpp>
#include <caf/io/broker.hpp>
#include <caf/stateful_actor.hpp>

#include "actors/relay.hpp"
#include "amqp/relay/frames.hpp"
#include "amqp/transport.hpp"
#include "relay/session.hpp"
#include "topology/endpoint_memory.hpp"

namespace actors {

/// An event of a host's link to the broker, on its way to the port.
struct relay_event {
  std::uint64_t link = 0;
  amqp::relay_frame frame;
};

/// Starts the link to the broker that a host has asked for.
using relayed_link_starter =
    std::function<amqp::transport_ptr(const amqp::relay_hello&, const amqp::broker_limits& known,
                                      std::shared_ptr<amqp::link_listener>)>;

struct relay_port_settings {
  std::string address;
  std::uint16_t port = 0;
  relay_limits limits;
  bool tls = false;
  relayed_link_starter start_link;
};

/// The port's state; see `relay_port`.
class relay_port_state {
public:
  explicit relay_port_state(caf::io::broker* self);

  static inline const char* name = "relay_port";

  void init(relay_port_settings settings);

  caf::expected<std::uint16_t> listen();
  void on_connected(caf::io::connection_handle who);
  void on_bytes(const caf::io::new_data_msg& received);
  void on_disconnected(caf::io::connection_handle who);
  void on_event(relay_event& event);
  void on_tick();
  relay_status status();
  void stop();

private:
  using time_point = amqp::relay_session::time_point;

  struct peer {
    std::uint64_t id = 0;
    std::string host;
    std::uint16_t port = 0;
    std::unique_ptr<amqp::relay_session> session;
    /// The broker that the peer's link has reached, and that broker's limits.
    std::string broker;
    amqp::broker_limits limits;
    /// Whether any bytes came, so that a TLS handshake must be done.
    bool heard = false;
    bool halted = false;
    /// The time since which more bytes wait for the peer than allowed.
    std::optional<time_point> overfull_since;

    std::string address() const;
  };

  void remember(peer& host, const amqp::relay_frame& frame);
  void schedule_tick();
  void on_shortage(int code);
  void reopen();
  /// Closes connections, ended ones first and then those without a hello, until there is room for
  /// one more.
  void make_room();
  void drop_stranger();
  amqp::outcome<amqp::transport_ptr> start_link(std::uint64_t id, const amqp::relay_hello& hello,
                                                const amqp::relay_tune& tune);
  /// Sends the session's output, and ends the connection if the session is down.
  void flush(caf::io::connection_handle who, peer& x);
  void end(caf::io::connection_handle who, peer& x);
  /// Returns an error if too much waits to be sent to the host.
  failure too_slow(peer& host, std::size_t unsent) const;
  /// Stops reading from the host while the broker does not keep up.
  void regulate(caf::io::connection_handle who, peer& x);
  void write(caf::io::connection_handle who, const std::string& bytes);
  void report(const peer& x);
  void remove(caf::io::connection_handle who);
  void let_go(amqp::transport_ptr link);
  /// Gives a peer that was told the reason a moment to close its end.
  void leave(caf::io::connection_handle who);
  /// Closes a connection at once, even if bytes wait to be sent.
  void drop(caf::io::connection_handle who);
  time_point now() const;

  caf::io::broker* self_;
  relay_port_settings settings_;
  caf::io::accept_handle door_;
  /// Whether connections are real sockets, not those of a test.
  bool sockets_ = false;
  /// The time until which no connection is accepted after a shortage.
  std::optional<time_point> closed_until_;
  bool stopping_ = false;

  std::unordered_map<caf::io::connection_handle, peer> peers_;
  std::unordered_map<std::uint64_t, caf::io::connection_handle> by_id_;
  /// The peers without a link, oldest first.
  std::map<std::uint64_t, caf::io::connection_handle> strangers_;
  /// The connections that wait for their peers to close, each with its time limit.
  std::unordered_map<caf::io::connection_handle, time_point> leaving_;
  std::uint64_t last_id_ = 0;
  /// The known limits of all brokers.
  endpoint_memory memory_;
  relay_status counters_;
};

/// The port of a relay, an I/O broker of CAF's middleman. It accepts strategy hosts, reads and
/// writes their frames, and keeps a session and a link to RabbitMQ for each connection.
///
/// | message | answer |
/// | --- | --- |
/// | start_atom | the port number that the relay listens on, or an error |
/// | status_atom | `relay_status` |
/// | stop_atom | ends, and all connections with it |
/// | relay_event | from the link of a session |
caf::behavior relay_port(caf::stateful_actor<relay_port_state, caf::io::broker>* self,
                         relay_port_settings settings);

} // namespace actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::relay_event)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::relay_status)
