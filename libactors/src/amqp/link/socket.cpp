#include "amqp/link/socket.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <system_error>

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "amqp/link/name_lookup.hpp"

namespace actors::amqp {

namespace {

using clock = std::chrono::steady_clock;

void set_option(int fd, int level, int name, int value) {
  // The connection works without each of these options, so errors are ignored.
  static_cast<void>(::setsockopt(fd, level, name, &value, sizeof(value)));
}

void set_options(int fd, const endpoint& where) {
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  // Heartbeats reveal a dead peer. The option would also end the connection to a broker that
  // reads nothing while it has an alarm.
  if (where.heartbeat.count() == 0)
    set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(where.send_timeout.count()));
}

const sockaddr* generic(const socket_address& x) noexcept {
  return reinterpret_cast<const sockaddr*>(&x.bytes);
}

std::string address_text(const socket_address& address) {
  std::array<char, NI_MAXHOST> host{};
  if (::getnameinfo(generic(address), address.size, host.data(), host.size(), nullptr, 0,
                    NI_NUMERICHOST)
      != 0)
    return "address";
  return host.data();
}

void set_port(socket_address& address, std::uint16_t port) noexcept {
  if (address.bytes.ss_family == AF_INET)
    reinterpret_cast<sockaddr_in&>(address.bytes).sin_port = htons(port);
  else if (address.bytes.ss_family == AF_INET6)
    reinterpret_cast<sockaddr_in6&>(address.bytes).sin6_port = htons(port);
}

/// Waits for the end of one attempt to connect. Returns 0, an errno, or ECANCELED after an
/// interruption.
int await_connected(int fd, clock::time_point limit, const interruption& stop) {
  auto error = await(fd, POLLOUT, limit, stop);
  if (error != 0)
    return error;
  socklen_t size = sizeof(error);
  return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

int connect_to(socket_address address, const endpoint& where, clock::time_point limit,
               const interruption& stop, file_descriptor& result) {
  set_port(address, where.port);
  file_descriptor fd{
      ::socket(address.bytes.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (!fd)
    return errno;
  set_options(fd.get(), where);
  if (::connect(fd.get(), generic(address), address.size) != 0) {
    auto error = errno;
    if (error == EINPROGRESS)
      error = await_connected(fd.get(), limit, stop);
    if (error != 0)
      return error;
  }
  result = std::move(fd);
  return 0;
}

io_result lost(std::string why) {
  return {.outcome = io_result::status::ended, .why = {ec::connection_lost, std::move(why)}};
}

} // namespace

file_descriptor::~file_descriptor() {
  if (fd_ >= 0)
    ::close(fd_);
}

wake_up::wake_up() : fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  // nop
}

void wake_up::signal() noexcept {
  std::uint64_t one = 1;
  // The write fails only when the event is signalled already.
  static_cast<void>(::write(fd_.get(), &one, sizeof(one)) == sizeof(one));
}

void wake_up::drain() noexcept {
  std::uint64_t count = 0;
  static_cast<void>(::read(fd_.get(), &count, sizeof(count)) == sizeof(count));
}

int poll_timeout(clock::time_point limit) {
  if (limit == clock::time_point::max())
    return -1;
  auto left = std::chrono::ceil<std::chrono::milliseconds>(limit - clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 3'600'000));
}

int await(int fd, short events, clock::time_point limit, const interruption& stop) {
  for (;;) {
    std::array<pollfd, 2> fds{{{fd, events, 0}, {stop.wake.fd(), POLLIN, 0}}};
    auto ready = ::poll(fds.data(), fds.size(), poll_timeout(limit));
    if (ready < 0 && errno != EINTR)
      return errno;
    if (ready > 0 && fds[1].revents != 0) {
      stop.wake.drain();
      if (stop.requested())
        return ECANCELED;
    }
    if (ready > 0 && fds[0].revents != 0)
      return 0;
    if (clock::now() >= limit)
      return ETIMEDOUT;
  }
}

std::string error_text(int code) {
  return std::generic_category().message(code);
}

io_result tcp_stream::read(char* to, std::size_t size) {
  for (;;) {
    auto count = ::recv(fd_.get(), to, size, 0);
    if (count > 0)
      return {.size = static_cast<std::size_t>(count), .wants = POLLIN};
    if (count == 0)
      return lost("the broker closed the TCP connection");
    if (errno == EAGAIN)
      return {.outcome = io_result::status::would_block, .wants = POLLIN};
    if (errno != EINTR)
      return lost(error_text(errno));
  }
}

io_result tcp_stream::write(std::string_view bytes) {
  for (;;) {
    auto count = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count >= 0)
      return {.size = static_cast<std::size_t>(count), .wants = POLLOUT};
    if (errno == EAGAIN)
      return {.outcome = io_result::status::would_block, .wants = POLLOUT};
    if (errno != EINTR)
      return lost(error_text(errno));
  }
}

outcome<file_descriptor> dial(const endpoint& where, const interruption& stop) {
  const auto limit = clock::now() + where.connection_timeout;
  auto error = 0;
  const auto found = name_lookup::shared().resolve(where.host, limit, stop, error);
  if (error == ECANCELED)
    return {};
  if (error == ETIMEDOUT)
    return {{},
            {ec::resolve_failed, "host '" + where.host + "' was not resolved within "
                                     + std::to_string(where.connection_timeout.count())
                                     + " ms: does its name server answer?"}};
  if (found.addresses.empty())
    return {{}, {ec::resolve_failed, "host '" + where.host + "' does not resolve: " + found.why}};
  auto untried = static_cast<int>(found.addresses.size());
  std::string why;
  for (const auto& address : found.addresses) {
    // Each address gets a share of the time, so that a silent one leaves enough to the others.
    auto now = clock::now();
    auto share = now + std::max(limit - now, clock::duration::zero()) / untried--;
    file_descriptor fd;
    error = connect_to(address, where, share, stop, fd);
    if (error == 0)
      return {std::move(fd), {}};
    if (error == ECANCELED)
      return {};
    why += (why.empty() ? "" : "; ") + address_text(address) + ": " + error_text(error);
  }
  return {{}, {error == ETIMEDOUT ? ec::connect_timeout : ec::connect_failed, why}};
}

} // namespace actors::amqp
