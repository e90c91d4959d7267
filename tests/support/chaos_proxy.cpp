#include "support/chaos_proxy.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <sstream>
#include <stdexcept>

#include <arpa/inet.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ; // NOLINT: POSIX

namespace actors::testing {

namespace {

constexpr auto program = ACTORS_TEST_SUPPORT "/chaos_proxy.py";

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error("chaos proxy: " + what);
}

/// Both ends stay with us: a process that is started while we live must not hold
/// them open.
std::array<int, 2> make_pipe() {
  std::array<int, 2> result{};
  if (::pipe2(result.data(), O_CLOEXEC) != 0)
    fail("no pipe");
  return result;
}

std::string read_line(int fd) {
  std::string result;
  while (!result.ends_with('\n')) {
    char c = 0;
    if (const auto size = ::read(fd, &c, 1); size == 1)
      result += c;
    else if (size == 0 || errno != EINTR)
      fail("it does not answer");
  }
  return result;
}

int connect_to(std::uint16_t port) {
  const auto result = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(port);
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(result, reinterpret_cast<const sockaddr*>(&where), sizeof(where)) != 0)
    fail("its control port does not answer");
  return result;
}

} // namespace

chaos_proxy::chaos_proxy(std::string url) : url_(std::move(url)) {
  const auto host = url_.rfind('@') + 1;
  start(url_.substr(host));
}

chaos_proxy::~chaos_proxy() {
  ::close(control_);
  ::close(life_line_);
  ::kill(process_, SIGTERM);
  ::waitpid(process_, nullptr, 0);
}

void chaos_proxy::start(const std::string& host_and_port) {
  const auto in = make_pipe();
  const auto out = make_pipe();
  posix_spawn_file_actions_t files;
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawn_file_actions_adddup2(&files, in[0], STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&files, out[1], STDOUT_FILENO);
  std::string path = program;
  auto where = host_and_port;
  std::array<char*, 3> arguments{path.data(), where.data(), nullptr};
  const auto error =
      ::posix_spawn(&process_, path.c_str(), &files, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&files);
  ::close(in[0]);
  ::close(out[1]);
  life_line_ = in[1];
  if (error != 0)
    fail("cannot start " + path);
  std::istringstream ports{read_line(out[0])};
  ::close(out[0]);
  std::string port;
  std::uint16_t control_port = 0;
  ports >> port >> control_port;
  url_.replace(url_.rfind(':') + 1, std::string::npos, port);
  control_ = connect_to(control_port);
}

void chaos_proxy::tell(const std::string& command) {
  if (auto answer = ask(command); answer != "ok\n")
    fail("'" + command + "': " + answer);
}

std::uint64_t chaos_proxy::accepted() {
  std::istringstream words{ask("stat")};
  std::string word;
  std::uint64_t result = 0;
  words >> word >> word >> word >> result;
  return result;
}

std::string chaos_proxy::ask(const std::string& command) {
  const auto line = command + '\n';
  if (::send(control_, line.data(), line.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(line.size()))
    fail("it does not listen");
  return read_line(control_);
}

} // namespace actors::testing
