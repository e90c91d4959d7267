#pragma once

#include <string>

#include <openssl/ssl.h>

#include "actors/amqp/endpoint.hpp"

namespace actors::amqp {

/// Verifies a broker's certificate, and words the first problem found.
class certificate_verdict {
public:
  explicit certificate_verdict(const endpoint& where);

  certificate_verdict(const certificate_verdict&) = delete;
  certificate_verdict& operator=(const certificate_verdict&) = delete;

  /// Sets a connection up to verify the certificate as the endpoint asks, and to look for one
  /// name; returns false if OpenSSL refuses. This object must outlive the handshake.
  bool watch(SSL* connection);

  /// The first problem that was found; empty if there is none.
  const std::string& text() const noexcept {
    return text_;
  }

private:
  static int on_certificate(int accepted, X509_STORE_CTX* context);

  bool verify_;
  std::string name_;
  std::string text_;
};

} // namespace actors::amqp
