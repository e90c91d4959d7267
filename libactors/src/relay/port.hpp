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

/// What a host's link to the broker says, on its way to the port.
struct relay_event {
  std::uint64_t link = 0;
  amqp::relay_frame frame;
};

/// Starts the link to the broker for one that a host has asked for.
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
  void on_bytes(const caf::io::new_data_msg& x);
  void on_disconnected(caf::io::connection_handle who);
  void on_event(relay_event& x);
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
    /// Which one its link has reached, and what is heeded there.
    std::string broker;
    amqp::broker_limits limits;
    /// Whether anything came, and so a TLS handshake is done.
    bool heard = false;
    bool halted = false;
    /// Since when more waits for it than allowed.
    std::optional<time_point> overfull_since;

    std::string address() const;
  };

  void remember(peer& x, const amqp::relay_frame& what);
  void schedule_tick();
  void on_shortage(int code);
  void reopen();
  /// Closes connections that have ended, then the oldest without a hello, until there is
  /// room for one more.
  void make_room();
  void drop_stranger();
  amqp::outcome<amqp::transport_ptr> start_link(std::uint64_t id, const amqp::relay_hello& hello,
                                                const amqp::relay_tune& tune);
  /// Sends what the session says, and ends with it.
  void flush(caf::io::connection_handle who, peer& x);
  void end(caf::io::connection_handle who, peer& x);
  /// Why the host has too much waiting for it, if so.
  failure too_slow(peer& x, std::size_t unsent) const;
  /// Reads from the host as long as its broker keeps up.
  void regulate(caf::io::connection_handle who, peer& x);
  void write(caf::io::connection_handle who, const std::string& bytes);
  void report(const peer& x);
  void remove(caf::io::connection_handle who);
  void let_go(amqp::transport_ptr link);
  /// Gives a peer that has been told why a moment to close its end.
  void leave(caf::io::connection_handle who);
  /// Closes a connection at once, whatever waits to be sent.
  void drop(caf::io::connection_handle who);
  time_point now() const;

  caf::io::broker* self_;
  relay_port_settings settings_;
  caf::io::accept_handle door_;
  /// Whether connections are file descriptors, and not those of a test.
  bool sockets_ = false;
  /// When to look again whether a connection can be accepted.
  std::optional<time_point> closed_until_;
  bool stopping_ = false;

  std::unordered_map<caf::io::connection_handle, peer> peers_;
  std::unordered_map<std::uint64_t, caf::io::connection_handle> by_id_;
  /// Peers without a link, oldest first.
  std::map<std::uint64_t, caf::io::connection_handle> strangers_;
  /// Connections that are closed when their time is over.
  std::unordered_map<caf::io::connection_handle, time_point> leaving_;
  std::uint64_t last_id_ = 0;
  /// Of the brokers behind all its endpoints.
  endpoint_memory memory_;
  relay_status counters_;
};

/// The door of a relay, a broker of CAF's middleman: accepts strategy hosts, reads and
/// writes their frames, and has a session and a link to the broker for each connection.
///
/// | message | answer |
/// | --- | --- |
/// | start_atom | the port that it listens to, or an error |
/// | status_atom | `relay_status` |
/// | stop_atom | ends, and all connections with it |
/// | relay_event | from the link of a session |
caf::behavior relay_port(caf::stateful_actor<relay_port_state, caf::io::broker>* self,
                         relay_port_settings settings);

} // namespace actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::relay_event)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::relay_status)
