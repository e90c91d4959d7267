#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include <caf/expected.hpp>

#include "actors/ec.hpp"
#include "actors/export.hpp"

namespace actors::amqp {

/// A text that is never shown: it has no stream operator and no formatter, so
/// that it reaches a log only by calling `reveal`.
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

/// Which transport an endpoint is reached by: a broker over TCP or TLS, the
/// in-process broker, or a relay (`actors/relay.hpp`) over TCP or TLS.
enum class scheme : std::uint8_t { amqp, amqps, memory, relay, relays };

/// Whether the endpoint is reached over TLS.
constexpr bool over_tls(scheme x) noexcept {
  return x == scheme::amqps || x == scheme::relays;
}

/// Whether the endpoint is a relay.
constexpr bool is_relay(scheme x) noexcept {
  return x == scheme::relay || x == scheme::relays;
}

/// Where a relay listens unless it is told otherwise.
constexpr std::uint16_t relay_port = 5670;

/// How we log in: with user name and password (SASL PLAIN), or with our client
/// certificate (SASL EXTERNAL, RabbitMQ's plugin rabbitmq_auth_mechanism_ssl).
enum class auth_mechanism : std::uint8_t { plain, external };

ACTORS_EXPORT std::string_view to_string(auth_mechanism x) noexcept;

/// Who is trusted, and who we are, over TLS. The files are in PEM form and
/// read at each connect, so that renewed certificates need no restart.
struct tls_options {
  /// The certificates of the authorities to trust. Empty: those of the system.
  std::string cacertfile;
  /// Our certificate, followed by those between it and its authority. Empty:
  /// we show none.
  std::string certfile;
  /// The private key of our certificate, without a passphrase. Empty: it
  /// stands in `certfile`.
  std::string keyfile;
  /// Whether the broker must have a valid certificate for its name. Without
  /// this, anybody in between can read and change everything.
  bool verify = true;
  /// The name that the certificate must be for. Empty: the host's.
  std::string server_name;

  bool operator==(const tls_options&) const = default;
};

/// What a broker was found to allow, by `link_listener::learned`: so that no link breaks twice for
/// the same limit. Not part of a URL.
struct broker_limits {
  /// Channels of one connection; 0 is unknown.
  std::uint16_t channels = 0;
  /// Consumers of one channel; 0 is unknown.
  std::uint32_t consumers_per_channel = 0;
  /// The largest body, in bytes; 0 is unknown.
  std::uint64_t message_size = 0;
  /// Whether queues that are neither durable nor exclusive may be declared.
  bool transient_queues = true;

  bool operator==(const broker_limits&) const = default;
};

/// Where a broker is, and how to log in.
struct endpoint {
  amqp::scheme scheme = amqp::scheme::amqp;
  /// Host name or address; the broker's name for `memory:NAME`.
  std::string host = "localhost";
  std::uint16_t port = 5672;
  std::string vhost = "/";
  std::string username = "guest";
  secret password{"guest"};
  /// A file that holds the password instead, read anew at each login so that a new one
  /// needs no restart; a line break at its end is left away. Empty: `password` is it. Not
  /// part of a URL; a URL that has a password of its own stands above it.
  std::string password_file;
  amqp::auth_mechanism auth_mechanism = amqp::auth_mechanism::plain;
  /// Used over TLS only.
  tls_options tls;
  /// Silence of twice this time ends the link, of three times one to a relay. 0
  /// switches heartbeats off.
  std::chrono::seconds heartbeat{10};
  /// Limit for the TCP connection.
  std::chrono::milliseconds connection_timeout{5'000};
  /// Limit for the TLS handshake after that, and for the AMQP handshake after
  /// both.
  std::chrono::milliseconds handshake_timeout{10'000};
  /// Limit for the answer to a request (declare, bind, consume, ...).
  std::chrono::milliseconds request_timeout{10'000};
  /// Limit for the broker to take any of the bytes that wait to be sent.
  std::chrono::milliseconds send_timeout{20'000};
  /// The name that RabbitMQ's management shows for the connection.
  std::string connection_name;
  /// What former links have learned of it.
  broker_limits known;

  bool operator==(const endpoint&) const = default;
};

/// Reads `amqp://user:password@host:port/vhost?heartbeat=10&...`, `amqps://...`,
/// `relay://host:port`, `relays://host:port` (neither has a user or a vhost: those are
/// the relay's own) or `memory:[name]`. Source: RabbitMQ URI
/// specification; parts may be percent-escaped, and "/", "?", "#" and "%" in a password must be: a
/// URL in which a piece of it could be taken for something else is refused; a path that is missing
/// or just "/" is the vhost "/" (many users write it so), "/%2f" too. Query parameters: `heartbeat`
/// (s; 1 for a relay, unless `defaults` is one), `connection_timeout` (ms), `auth_mechanism`
/// (plain, external), and over TLS `cacertfile`, `certfile`, `keyfile`, `verify` (verify_peer,
/// verify_none) and `server_name_indication`. Credentials and settings that the URL does not name
/// are those of `defaults`. Errors are `ec::invalid_endpoint` and never hold the
/// password.
ACTORS_EXPORT caf::expected<endpoint> parse_endpoint(std::string_view url,
                                                     const endpoint& defaults = {});

/// Whether the settings make sense and go together: a host is a name or an address; TLS settings
/// without TLS are a mistake, and a login by certificate needs one; a relay has no vhost. Nothing,
/// or `ec::invalid_endpoint`.
ACTORS_EXPORT failure check(const endpoint& x);

/// The endpoint as a URL without credentials, e.g. "amqp://localhost:5672/".
ACTORS_EXPORT std::string to_string(const endpoint& x);

} // namespace actors::amqp
