#include "relay_tls.hpp"

#include <exception>
#include <utility>

#include <caf/actor_system.hpp>
#include <caf/io/abstract_broker.hpp>
#include <caf/io/network/default_multiplexer.hpp>
#include <caf/io/network/doorman_impl.hpp>
#include <caf/io/network/stream_impl.hpp>
#include <caf/io/scribe.hpp>
#include <caf/openssl/session.hpp>
#include <fmt/core.h>
#include <openssl/err.h>

#include "actors/logging.hpp"

namespace actors {

namespace {

namespace network = caf::io::network;

std::string address_of(network::native_socket fd) {
  auto address = network::remote_addr_of_fd(fd);
  auto port = network::remote_port_of_fd(fd);
  return fmt::format("{}:{}", address ? *address : "?", port ? *port : 0);
}

/// Moves a stream's bytes through TLS. OpenSSL keeps its errors by thread, and CAF asks
/// for them without having cleared them: what one peer did wrong would end the connection
/// of the next one.
class tls_policy {
public:
  explicit tls_policy(caf::openssl::session_ptr session) : session_(std::move(session)) {
    // nop
  }

  network::rw_state read_some(std::size_t& result, network::native_socket fd, void* to,
                              std::size_t size) {
    ::ERR_clear_error();
    return report(session_->read_some(result, fd, to, size), fd);
  }

  network::rw_state write_some(std::size_t& result, network::native_socket fd, const void* from,
                               std::size_t size) {
    ::ERR_clear_error();
    return report(session_->write_some(result, fd, from, size), fd);
  }

  bool must_read_more(network::native_socket fd, std::size_t threshold) {
    return session_->must_read_more(fd, threshold);
  }

private:
  static network::rw_state report(network::rw_state x, network::native_socket fd) {
    const auto code = x == network::rw_state::failure ? ::ERR_peek_error() : 0;
    if (code != 0)
      log_failure(fd, code);
    return x;
  }

  static void log_failure(network::native_socket fd, unsigned long code) {
    const auto* reason = ::ERR_reason_error_string(code);
    log(log_level::warning,
        fmt::format("relay: TLS with {}: {}", address_of(fd), reason ? reason : "failed"));
  }

  caf::openssl::session_ptr session_;
};

/// A connection over TLS.
class tls_scribe : public caf::io::scribe {
public:
  tls_scribe(network::default_multiplexer& loop, network::native_socket fd,
             caf::openssl::session_ptr session)
      : scribe(network::conn_hdl_from_socket(fd)), stream_(loop, fd, std::move(session)) {
    // nop
  }

  void configure_read(caf::io::receive_policy::config x) override {
    stream_.configure_read(x);
    if (std::exchange(launched_, true))
      return;
    stream_.start(this);
  }

  void ack_writes(bool enable) override {
    // Nobody here counts what was written.
    static_cast<void>(enable);
  }

  std::vector<char>& wr_buf() override {
    return stream_.wr_buf();
  }

  std::vector<char>& rd_buf() override {
    return stream_.rd_buf();
  }

  void graceful_shutdown() override {
    stream_.graceful_shutdown();
    detach(&stream_.backend(), false);
  }

  void flush() override {
    stream_.flush(this);
  }

  std::string addr() const override {
    auto result = network::remote_addr_of_fd(stream_.fd());
    return result ? *result : std::string{};
  }

  std::uint16_t port() const override {
    auto result = network::remote_port_of_fd(stream_.fd());
    return result ? *result : std::uint16_t{0};
  }

  void add_to_loop() override {
    stream_.activate(this);
  }

  void remove_from_loop() override {
    stream_.passivate();
  }

private:
  bool launched_ = false;
  network::stream_impl<tls_policy> stream_;
};

class tls_doorman : public network::doorman_impl {
public:
  tls_doorman(network::default_multiplexer& loop, network::native_socket fd)
      : doorman_impl(loop, fd), loop_(loop) {
    // nop
  }

  bool new_connection() override {
    if (detached())
      return false;
    const auto fd = acceptor_.accepted_socket();
    auto session = begin(fd);
    if (!session) {
      network::close_socket(fd);
      return true;
    }
    auto connection = caf::make_counted<tls_scribe>(loop_, fd, std::move(session));
    auto handle = connection->hdl();
    parent()->add_scribe(std::move(connection));
    return doorman::new_connection(&loop_, handle);
  }

private:
  // The certificates are read for each connection, so that renewed ones need no restart.
  caf::openssl::session_ptr begin(network::native_socket fd) {
    try {
      network::nonblocking(fd, true);
      ::ERR_clear_error();
      auto result = caf::openssl::make_session(parent()->system(), fd, true);
      if (!result)
        log(log_level::warning,
            fmt::format("relay: {} refused: it does not speak TLS", address_of(fd)));
      return result;
    } catch (const std::exception& err) {
      log(log_level::error, fmt::format("relay: {} refused: {}", address_of(fd), err.what()));
      return nullptr;
    }
  }

  network::default_multiplexer& loop_;
};

} // namespace

caf::expected<caf::io::doorman_ptr> make_tls_doorman(network::multiplexer& loop, std::uint16_t port,
                                                     const char* address) {
  auto fd = network::new_tcp_acceptor_impl(port, address, true);
  if (!fd)
    return std::move(fd.error());
  auto& sockets = dynamic_cast<network::default_multiplexer&>(loop);
  return caf::io::doorman_ptr{caf::make_counted<tls_doorman>(sockets, *fd)};
}

} // namespace actors
