// A broker that costs little: it floods whoever consumes with the same bodies
// and swallows whatever is published, so that a client's own cost stands apart
// from RabbitMQ's. Prints its URL, and runs until it is ended.

#include <algorithm>
#include <iostream>
#include <memory>
#include <vector>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include "bodies.hpp"
#include "stub/client.hpp"

namespace {

using clients = std::vector<std::unique_ptr<stub::client>>;

/// Listens on a free port of the loopback interface.
int listen_on_loopback(std::uint16_t& port) {
  auto fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof where;
  auto address = reinterpret_cast<sockaddr*>(&where);
  if (fd < 0 || ::bind(fd, address, size) != 0 || ::listen(fd, 16) != 0
      || ::getsockname(fd, address, &size) != 0)
    bench::fail("the stub broker cannot listen");
  port = ntohs(where.sin_port);
  return fd;
}

void accept_one(int listener, const stub::flood& what, clients& out) {
  auto fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK);
  if (fd < 0)
    return;
  int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  out.push_back(std::make_unique<stub::client>(fd, what));
}

void serve(clients& xs, const std::vector<pollfd>& ready) {
  for (auto& x : xs) {
    auto i = std::find_if(ready.begin(), ready.end(), [&](auto& y) { return y.fd == x->fd(); });
    auto alive = i == ready.end() || i->revents == 0 || (i->revents & ~POLLOUT) == 0 || x->read();
    if (!alive || (x->has_output() && !x->write()))
      x.reset();
  }
  std::erase(xs, nullptr);
}

} // namespace

int main(int argc, char** argv) {
  CLI::App app{"A broker that floods and swallows"};
  std::string kind = "book10";
  stub::flood what;
  what.count = 100'000;
  app.add_option("--kind", kind, "The events, as in the other programs")->capture_default_str();
  app.add_option("--count", what.count, "Messages for each consumer")->capture_default_str();
  app.add_flag("--numbered", what.numbered, "Messages have an id and a place in a stream");
  CLI11_PARSE(app, argc, argv);
  auto events = bench::make_bodies(kind);
  what.exchange = events.exchange;
  what.routing_key = events.routing_key;
  what.bodies = events.sealed;

  std::uint16_t port = 0;
  auto listener = listen_on_loopback(port);
  std::cout << "amqp://guest:guest@127.0.0.1:" << port << std::endl;
  clients xs;
  for (;;) {
    std::vector<pollfd> ready{{listener, POLLIN, 0}};
    for (auto& x : xs)
      ready.push_back({x->fd(), static_cast<short>(POLLIN | (x->has_output() ? POLLOUT : 0)), 0});
    ::poll(ready.data(), ready.size(), -1);
    if (ready.front().revents != 0)
      accept_one(listener, what, xs);
    serve(xs, ready);
  }
}
