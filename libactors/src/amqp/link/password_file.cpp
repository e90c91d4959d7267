#include "amqp/link/password_file.hpp"

#include <array>
#include <cerrno>
#include <cstddef>
#include <string>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "amqp/link/socket.hpp"

namespace actors::amqp {

namespace {

/// The largest size of a password, in bytes.
constexpr std::size_t max_password = 65'536;

failure problem(const endpoint& where, const std::string& why) {
  return {ec::login_refused, "password_file '" + where.password_file + "' " + why};
}

/// Returns the content of a file, cut a little above the allowed size. Sets errno.
std::string read_file(const std::string& path) {
  errno = 0;
  // O_NONBLOCK keeps a pipe without a writer from blocking the thread for ever.
  file_descriptor fd{::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)};
  std::string result;
  std::array<char, 4096> bytes{};
  while (fd && result.size() <= max_password) {
    const auto count = ::read(fd.get(), bytes.data(), bytes.size());
    if (count <= 0)
      break;
    result.append(bytes.data(), static_cast<std::size_t>(count));
  }
  return result;
}

} // namespace

failure read_password(endpoint& where) {
  if (where.password_file.empty() || is_relay(where.scheme)
      || where.auth_mechanism != auth_mechanism::plain)
    return {};
  auto text = read_file(where.password_file);
  if (errno != 0)
    return problem(where, "cannot be read: " + error_text(errno));
  for (auto end : {'\n', '\r'})
    if (text.ends_with(end))
      text.pop_back();
  if (text.empty())
    return problem(where, "is empty: write the password into it");
  if (text.size() > max_password)
    return problem(where, "is larger than 64 KiB");
  if (text.find('\0') != std::string::npos)
    return problem(where, "has a NUL byte, which a password cannot have");
  where.password = secret{std::move(text)};
  return {};
}

} // namespace actors::amqp
