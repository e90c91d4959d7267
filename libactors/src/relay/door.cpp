#include "relay/door.hpp"

#include <cerrno>
#include <exception>
#include <string>
#include <utility>

#include <caf/actor_system.hpp>
#include <caf/io/abstract_broker.hpp>
#include <caf/io/network/acceptor_impl.hpp>
#include <caf/io/network/default_multiplexer.hpp>
#include <caf/io/network/stream_impl.hpp>
#include <caf/io/scribe.hpp>
#include <caf/openssl/session.hpp>
#include <fmt/core.h>
#include <openssl/err.h>
#include <sys/socket.h>

#include "actors/logging.hpp"
#include "runtime/repeated_log.hpp"

namespace actors {

namespace {

namespace network = caf::io::network;

std::string host_of(network::native_socket fd) {
  auto address = network::remote_addr_of_fd(fd);
  return address ? *address : "a host that is gone";
}

std::string address_of(network::native_socket fd) {
  auto port = network::remote_port_of_fd(fd);
  return port ? fmt::format("{}:{}", host_of(fd), *port) : host_of(fd);
}

/// Moves a stream's bytes through TLS. OpenSSL keeps its errors per thread, and CAF reads them
/// without clearing them first: without this class, the error of one peer would end the connection
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
    const auto* known = ::ERR_reason_error_string(code);
    const std::string reason = known ? known : "failed";
    const auto host = host_of(fd);
    log_repeated(log_level::warning, "relay tls", host + reason,
                 fmt::format("relay: TLS with {}: {}", host, reason));
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
    // The relay does not count written bytes.
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

/// Accepts connections, and reports a shortage of resources apart from an empty queue.
class accept_policy {
public:
  explicit accept_policy(std::function<void(int)> on_shortage)
      : on_shortage_(std::move(on_shortage)) {
    // nop
  }

  bool try_accept(network::native_socket& result, network::native_socket fd) const {
    result = ::accept4(fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (result != network::invalid_native_socket)
      return true;
    const auto code = errno;
    if (code == EMFILE || code == ENFILE || code == ENOBUFS || code == ENOMEM)
      on_shortage_(code);
    return false;
  }

private:
  std::function<void(int)> on_shortage_;
};

class relay_door : public caf::io::doorman {
public:
  relay_door(network::default_multiplexer& loop, network::native_socket fd, bool tls,
             std::function<void(int)> on_shortage)
      : doorman(network::accept_hdl_from_socket(fd)),
        loop_(loop),
        tls_(tls),
        acceptor_(loop, fd, accept_policy{std::move(on_shortage)}) {
    // nop
  }

  bool new_connection() override {
    const auto fd = acceptor_.accepted_socket();
    auto connection = detached() ? nullptr : begin(fd);
    if (!connection) {
      network::close_socket(fd);
      return !detached();
    }
    auto handle = connection->hdl();
    parent()->add_scribe(std::move(connection));
    return doorman::new_connection(&loop_, handle);
  }

  void launch() override {
    acceptor_.start(this);
  }

  void graceful_shutdown() override {
    acceptor_.graceful_shutdown();
    detach(&acceptor_.backend(), false);
  }

  std::string addr() const override {
    auto result = network::local_addr_of_fd(acceptor_.fd());
    return result ? *result : std::string{};
  }

  std::uint16_t port() const override {
    auto result = network::local_port_of_fd(acceptor_.fd());
    return result ? *result : std::uint16_t{0};
  }

  void add_to_loop() override {
    acceptor_.activate(this);
  }

  void remove_from_loop() override {
    acceptor_.passivate();
  }

private:
  caf::io::scribe_ptr begin(network::native_socket fd) {
    if (!tls_)
      return loop_.new_scribe(fd);
    auto session = begin_tls(fd);
    if (!session)
      return nullptr;
    return caf::make_counted<tls_scribe>(loop_, fd, std::move(session));
  }

  // The certificates are read for each connection, so that renewed ones need no restart.
  caf::openssl::session_ptr begin_tls(network::native_socket fd) {
    try {
      ::ERR_clear_error();
      auto result = caf::openssl::make_session(parent()->system(), fd, true);
      if (!result)
        log_repeated(log_level::warning, "relay without tls", host_of(fd),
                     fmt::format("relay: {} refused: it does not speak TLS", address_of(fd)));
      return result;
    } catch (const std::exception& err) {
      log_repeated(log_level::error, "relay certificates", err.what(),
                   fmt::format("relay: {} refused: {}", address_of(fd), err.what()));
      return nullptr;
    }
  }

  network::default_multiplexer& loop_;
  bool tls_;
  network::acceptor_impl<accept_policy> acceptor_;
};

} // namespace

caf::expected<caf::io::doorman_ptr> make_relay_door(network::default_multiplexer& loop,
                                                    relay_door_settings settings) {
  auto fd = network::new_tcp_acceptor_impl(settings.port, settings.address, true);
  if (!fd)
    return std::move(fd.error());
  return caf::io::doorman_ptr{
      caf::make_counted<relay_door>(loop, *fd, settings.tls, std::move(settings.on_shortage))};
}

} // namespace actors
