#include "support/port.hpp"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

namespace actors::testing {

std::uint16_t port_of(const std::string& url) {
  return static_cast<std::uint16_t>(std::stoul(url.substr(url.rfind(':') + 1)));
}

bool is_open(std::uint16_t port) {
  const auto fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(port);
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const auto result = ::connect(fd, reinterpret_cast<const sockaddr*>(&where), sizeof(where)) == 0;
  ::close(fd);
  return result;
}

} // namespace actors::testing
