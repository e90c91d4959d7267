#pragma once

#include <string>

#include <openssl/ssl.h>

#include "actors/amqp/endpoint.hpp"

namespace actors::amqp {

/// Has a broker's certificate verified, and says in words what is wrong with it.
class certificate_verdict {
public:
  explicit certificate_verdict(const endpoint& where);

  certificate_verdict(const certificate_verdict&) = delete;
  certificate_verdict& operator=(const certificate_verdict&) = delete;

  /// Makes the handshake of a connection verify as the endpoint asks, and look
  /// for one name. Must outlive the connection's handshake.
  bool watch(SSL* connection);

  /// The first problem that was found.
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
