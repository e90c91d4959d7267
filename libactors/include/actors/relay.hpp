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

/// What the hosts of a relay may cost it.
struct relay_limits {
  /// How many hosts' links at a time: two for each event center, and a third while a
  /// subscription of it is kept apart.
  std::size_t max_links = 128;
  /// How many connections may be without a hello at a time: strangers', and each host's for
  /// a moment. They count towards nothing else. When there is one more, the oldest of the
  /// address that has most of them is closed.
  std::size_t max_strangers = 64;
  /// The largest frame that is taken, and so a publication: in bytes. Less than the least
  /// would let nothing pass, as names and headers count.
  static constexpr std::size_t least_message = 8 * 1024;
  std::size_t max_message = 16 * 1024 * 1024;
  /// What may wait to be sent to one host, in bytes: who has more for 5 s, or four times as
  /// much, is too slow, and its link ends.
  std::size_t max_unsent = 64 * 1024 * 1024;
  /// What one link may have published that the broker has not confirmed, in bytes: who has
  /// more is told that it is blocked, and not read from until it has half of it.
  std::size_t max_unconfirmed = 32 * 1024 * 1024;
  /// How many deliveries may be on their way to a host, for each consumer that does not
  /// acknowledge on success.
  std::uint16_t window = 500;
  /// For TLS and the first words of a host.
  std::chrono::milliseconds handshake_timeout{10'000};
};

struct relay_settings {
  /// How the broker is reached.
  config center;
  /// Where it listens: only programs on this host reach it, unless it is told
  /// otherwise. "0.0.0.0" is every interface.
  std::string address = "127.0.0.1";
  /// 0 is one that is free.
  std::uint16_t port = amqp::relay_port;
  relay_limits limits;
};

/// A host's link, as its relay sees it.
struct relayed_link {
  /// The host's, and its port.
  std::string address;
  /// By its own account.
  std::string name;
  std::uint64_t delivered = 0;
  std::uint64_t published = 0;
  /// Bytes that wait to be sent.
  std::size_t unsent = 0;
};

struct relay_status {
  std::vector<relayed_link> links;
  /// Connections without a hello.
  std::size_t strangers = 0;
  std::uint64_t accepted = 0;
  /// For no hello, an unknown protocol, a wrong certificate, too many links.
  std::uint64_t refused = 0;
  /// Links that ended without having been closed.
  std::uint64_t lost = 0;
};

/// CAF's settings for a program with a relay: those of `system_config`, with the
/// middleman and, for TLS, its OpenSSL module.
class ACTORS_EXPORT relay_system_config : public system_config {
public:
  /// Without TLS: whoever reaches the port reads and publishes everything.
  relay_system_config();

  /// With TLS: a host must show a certificate of the authorities in `cacertfile`.
  /// `certfile` and `keyfile` are the relay's own; all are in PEM form.
  explicit relay_system_config(const amqp::tls_options& tls);

  /// Whether the certificates can be used. Error: `ec::tls_failed`.
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
/// Each host has links of its own to the broker, so that what it leaves unanswered goes
/// back to its queue when it is lost, and none waits for another. What many hosts follow
/// without acknowledging on success comes from the broker once.
class ACTORS_EXPORT scoped_relay {
public:
  scoped_relay(caf::actor_system& system, relay_settings settings);

  ~scoped_relay();

  scoped_relay(const scoped_relay&) = delete;
  scoped_relay& operator=(const scoped_relay&) = delete;

  /// Listens. Error: `ec::invalid_argument`, if the port is taken or there is no such
  /// address.
  caf::error start();

  /// The port that it listens to.
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
