#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include <caf/expected.hpp>

#include "actors/ec.hpp"
#include "actors/export.hpp"

namespace actors::amqp {

/// A text that must not be shown. `secret` has no stream operator and no formatter, so its text
/// reaches a log only through `reveal`.
class ACTORS_EXPORT secret {
public:
  secret() = default;

  explicit secret(std::string text) : text_(std::move(text)) {
    // nop
  }

  const std::string& reveal() const noexcept {
    return text_;
  }

  bool operator==(const secret&) const = default;

private:
  std::string text_;
};

/// The transport of an endpoint: a broker over TCP or TLS, the in-process broker, or a relay
/// (`actors/relay.hpp`) over TCP or TLS.
enum class scheme : std::uint8_t { amqp, amqps, memory, relay, relays };

/// Whether the endpoint is reached over TLS.
constexpr bool over_tls(scheme x) noexcept {
  return x == scheme::amqps || x == scheme::relays;
}

/// Whether the endpoint is a relay.
constexpr bool is_relay(scheme x) noexcept {
  return x == scheme::relay || x == scheme::relays;
}

/// The default port of a relay.
constexpr std::uint16_t relay_port = 5670;

/// The kind of login: by user name and password (SASL PLAIN), or by client certificate (SASL
/// EXTERNAL, with RabbitMQ's plugin rabbitmq_auth_mechanism_ssl).
enum class auth_mechanism : std::uint8_t { plain, external };

ACTORS_EXPORT std::string_view to_string(auth_mechanism x) noexcept;

/// The trusted authorities and the client's certificate for TLS. The files are in PEM form and are
/// read at each connect, so that renewed certificates need no restart.
struct tls_options {
  /// The certificates of the authorities to trust. Empty: the system's authorities.
  std::string cacertfile;
  /// The client's certificate, followed by any intermediate certificates. Empty: the client shows
  /// no certificate.
  std::string certfile;
  /// The private key of the certificate, without a passphrase. Empty: the key is in `certfile`.
  std::string keyfile;
  /// Whether the broker must have a valid certificate for its name. Without this check, anybody
  /// on the path can read and change everything.
  bool verify = true;
  /// The name that the broker's certificate must be for. Empty: the host name.
  std::string server_name;

  bool operator==(const tls_options&) const = default;
};

/// The limits of a broker that links have discovered (`link_listener::learned`), so that no second
/// link breaks on the same limit. Not part of a URL.
struct broker_limits {
  /// The number of channels per connection; 0 is unknown.
  std::uint16_t channels = 0;
  /// The number of consumers per channel; 0 is unknown.
  std::uint32_t consumers_per_channel = 0;
  /// The largest body, in bytes; 0 is unknown.
  std::uint64_t message_size = 0;
  /// Whether queues that are neither durable nor exclusive may be declared.
  bool transient_queues = true;

  bool operator==(const broker_limits&) const = default;
};

/// The address of a broker or relay, and how to log in.
struct endpoint {
  amqp::scheme scheme = amqp::scheme::amqp;
  /// Host name or address; the broker's name for `memory:NAME`.
  std::string host = "localhost";
  std::uint16_t port = 5672;
  std::string vhost = "/";
  std::string username = "guest";
  secret password{"guest"};
  /// The path of a file with the password, which is read at each login, so that a new password
  /// needs no restart; a line break at the file's end is ignored. Empty: `password` applies. Not
  /// part of a URL; a password in a URL overrides the file.
  std::string password_file;
  amqp::auth_mechanism auth_mechanism = amqp::auth_mechanism::plain;
  /// Applies to TLS only.
  tls_options tls;
  /// The interval of heartbeats; 0 switches them off. A link ends after a silence of two
  /// intervals, a link to a relay after three.
  std::chrono::seconds heartbeat{10};
  /// Limit for the TCP connection.
  std::chrono::milliseconds connection_timeout{5'000};
  /// Limit for the TLS handshake, and again for the AMQP handshake after that.
  std::chrono::milliseconds handshake_timeout{10'000};
  /// Limit for the answer to a request (declare, bind, consume, ...).
  std::chrono::milliseconds request_timeout{10'000};
  /// Limit for a time in which the broker takes none of the bytes that wait to be sent.
  std::chrono::milliseconds send_timeout{20'000};
  /// The name that RabbitMQ's management shows for the connection.
  std::string connection_name;
  /// The broker's limits that former links discovered.
  broker_limits known;

  bool operator==(const endpoint&) const = default;
};

/// Reads a URL of one of these forms:
///
///     amqp://user:password@host:port/vhost?heartbeat=10&...
///     amqps://...
///     relay://host:port
///     relays://host:port
///     memory:[name]
///
/// URLs of relays have no user and no vhost, because the relay has its own. The source of the
/// format is the RabbitMQ URI specification. All parts may be percent-escaped; "/", "?", "#" and
/// "%" in a password must be, and a URL in which a piece of the password could be taken for
/// something else is refused. A missing path and the paths "/" (which many users write) and
/// "/%2f" are the vhost "/".
///
/// Query parameters: `heartbeat` (s; 1 for a relay, unless `defaults` is a relay),
/// `connection_timeout` (ms), `auth_mechanism` (plain, external), and over TLS `cacertfile`,
/// `certfile`, `keyfile`, `verify` (verify_peer, verify_none) and `server_name_indication`.
/// `defaults` provides the credentials and settings that the URL does not name. Error:
/// `ec::invalid_endpoint`, which never holds the password.
ACTORS_EXPORT caf::expected<endpoint> parse_endpoint(std::string_view url,
                                                     const endpoint& defaults = {});

/// Checks that the settings fit together: the host is a name or an address, TLS settings need TLS,
/// a login by certificate needs a certificate, and a relay has no vhost. Error:
/// `ec::invalid_endpoint`.
ACTORS_EXPORT failure check(const endpoint& x);

/// The endpoint as a URL without credentials, e.g. "amqp://localhost:5672/".
ACTORS_EXPORT std::string to_string(const endpoint& x);

} // namespace actors::amqp
