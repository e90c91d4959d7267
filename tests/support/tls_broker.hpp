#pragma once

#include <string>

namespace actors::testing {

/// A second RabbitMQ beside the `test_broker`, which speaks TLS: started for the
/// first test that asks for it, and ended with the program.
class tls_broker {
public:
  static tls_broker& instance();

  tls_broker(const tls_broker&) = delete;
  tls_broker& operator=(const tls_broker&) = delete;

  ~tls_broker();

  /// "amqps://guest:guest@127.0.0.1:PORT".
  const std::string& url() const noexcept {
    return url_;
  }

  /// Its port without TLS.
  const std::string& plain_url() const noexcept {
    return plain_url_;
  }

  /// A file that tests/support/certificates has made.
  std::string file(const std::string& name) const;

  /// Has it show another certificate to those who connect from now on.
  void show(const std::string& certificate) const;

  /// rabbitmqctl with these arguments.
  void ctl(const std::string& arguments) const;

private:
  tls_broker();

  std::string command(const std::string& name, const std::string& arguments) const;

  std::string script_;
  std::string dir_;
  std::string url_;
  std::string plain_url_;
};

} // namespace actors::testing
