#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include <caf/expected.hpp>

namespace actors::amqp {

/// A text that is never shown: it has no stream operator and no formatter, so
/// that it reaches a log only by calling `reveal`.
class secret {
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

/// Which transport an endpoint is reached by.
enum class scheme : std::uint8_t { amqp, amqps, memory };

/// Where a broker is, and how to log in.
struct endpoint {
  amqp::scheme scheme = amqp::scheme::amqp;
  /// Host name or address; the broker's name for `memory:NAME`.
  std::string host = "localhost";
  std::uint16_t port = 5672;
  std::string vhost = "/";
  std::string username = "guest";
  secret password{"guest"};
  /// Silence of twice this time ends the link. 0 switches heartbeats off.
  std::chrono::seconds heartbeat{10};
  /// Limit for the TCP connection.
  std::chrono::milliseconds connection_timeout{5'000};
  /// Limit for the AMQP handshake after that.
  std::chrono::milliseconds handshake_timeout{10'000};
  /// Limit for the answer to a request (declare, bind, consume, ...).
  std::chrono::milliseconds request_timeout{10'000};
  /// Limit for the broker to take any of the bytes that wait to be sent.
  std::chrono::milliseconds send_timeout{20'000};
  /// The name that RabbitMQ's management shows for the connection.
  std::string connection_name;

  bool operator==(const endpoint&) const = default;
};

/// Reads `amqp://user:password@host:port/vhost?heartbeat=10&...`, `amqps://...`
/// or `memory:[name]`. Source: RabbitMQ URI specification; parts may be
/// percent-escaped; a path that is missing or just "/" is the vhost "/" (many
/// users write it so), "/%2f" too. Query parameters: `heartbeat` (s),
/// `connection_timeout` (ms). Errors are `ec::invalid_endpoint` and never hold
/// the password.
caf::expected<endpoint> parse_endpoint(std::string_view url);

/// The endpoint as a URL without credentials, e.g. "amqp://localhost:5672/".
std::string to_string(const endpoint& x);

} // namespace actors::amqp
