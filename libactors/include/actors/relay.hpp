#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>
#include <caf/error.hpp>

#include "actors/amqp/endpoint.hpp"
#include "actors/config.hpp"
#include "actors/event_center.hpp"
#include "actors/export.hpp"
#include "actors/system_config.hpp"

namespace actors {

/// The resources that hosts may take from a relay.
struct relay_limits {
  /// How many links hosts may have at a time: two for each event center, and a third while the
  /// event center has a link `quarantine` (`link_role`).
  std::size_t max_links = 128;
  /// How many connections may be without a hello at a time: those of strangers, and each host's
  /// for a moment. `max_links` does not count these. When there is one too many, the address
  /// with most of them loses its oldest.
  std::size_t max_strangers = 64;
  /// The least value of `max_message`: names and headers count, so nothing would pass below.
  static constexpr std::size_t least_message = 8 * 1024;
  /// The largest frame, and so the largest publication with its properties, in bytes.
  std::size_t max_message = 16 * 1024 * 1024;
  /// The send buffer per host, in bytes. A host that exceeds this limit for 5 s, or four times
  /// this limit at once, is too slow and gets disconnected.
  std::size_t max_unsent = 64 * 1024 * 1024;
  /// How much a link may have published that the broker has not confirmed, in bytes. A host that
  /// exceeds the limit is told that its link is blocked; the relay reads from the host again
  /// when half of the limit is left.
  std::size_t max_unconfirmed = 32 * 1024 * 1024;
  /// How many deliveries may be on their way to a host, for each consumer that does not
  /// acknowledge on success.
  std::uint16_t window = 500;
  /// How long a host may take for TLS and its hello.
  std::chrono::milliseconds handshake_timeout{10'000};
};

struct relay_settings {
  /// The relay's own event center, including the endpoints of the broker.
  config center;
  /// The address to listen on. The default admits programs on this host only; "0.0.0.0" is every
  /// interface.
  std::string address = "127.0.0.1";
  /// The port to listen on; 0 is any free port.
  std::uint16_t port = amqp::relay_port;
  relay_limits limits;
};

/// The relay's view of a host's link.
struct relayed_link {
  /// The host's address and port.
  std::string address;
  /// The name that the host gave.
  std::string name;
  std::uint64_t delivered = 0;
  std::uint64_t published = 0;
  /// Bytes that wait to be sent to the host.
  std::size_t unsent = 0;
};

struct relay_status {
  std::vector<relayed_link> links;
  /// Connections without a hello.
  std::size_t strangers = 0;
  std::uint64_t accepted = 0;
  /// Connections refused: no hello, an unknown protocol, a wrong certificate, too many links.
  std::uint64_t refused = 0;
  /// Links that ended without a close by the host.
  std::uint64_t lost = 0;
};

/// CAF's settings for a program with a relay: those of `system_config`, with the
/// middleman and, for TLS, its OpenSSL module.
class ACTORS_EXPORT relay_system_config : public system_config {
public:
  /// Configures a relay without TLS: any program that reaches the port can read and publish
  /// everything.
  relay_system_config();

  /// Configures a relay with TLS: a host must show a certificate of the authorities in
  /// `cacertfile`. `certfile` and `keyfile` are the relay's own; all files are in PEM form.
  explicit relay_system_config(const amqp::tls_options& tls);

  /// Checks whether the certificates can be used. Error: `ec::tls_failed`.
  static caf::error check(const amqp::tls_options& tls);
};

/// Serves an event center to strategies on other hosts, which reach it by
/// `event_center::remote`:
///
///     actors::relay_system_config cfg;
///     caf::actor_system system{cfg};
///     actors::scoped_relay relay{system, settings};
///     if (auto err = relay.start()) ...
///
/// Each host has links of its own to the broker: when a host is lost, its unacknowledged messages
/// go back to their queues, and no host waits for another. Events that many hosts follow without
/// acknowledging on success come from the broker once.
class ACTORS_EXPORT scoped_relay {
public:
  scoped_relay(caf::actor_system& system, relay_settings settings);

  ~scoped_relay();

  scoped_relay(const scoped_relay&) = delete;
  scoped_relay& operator=(const scoped_relay&) = delete;

  /// Starts to listen. Error: `ec::invalid_argument`, if the port is taken or the address does
  /// not exist.
  caf::error start();

  /// The port that the relay listens on.
  std::uint16_t port() const noexcept {
    return settings_.port;
  }

  relay_status status() const;

  /// The event center of this process, for strategies beside the relay.
  const event_center& center() const noexcept {
    return center_;
  }

private:
  caf::actor_system& system_;
  relay_settings settings_;
  scoped_event_center center_;
  caf::actor port_;
};

} // namespace actors
