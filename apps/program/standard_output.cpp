#include "program/standard_output.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstddef>

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace program {

namespace {

constexpr int stop_check_interval_ms = 100;

/// The grace of a slow reader after the stop signal.
constexpr int grace_ms = 200;

} // namespace

bool write_out(std::string_view text, const stop_signal& stop) {
  pollfd out{STDOUT_FILENO, POLLOUT, 0};
  while (!text.empty()) {
    const auto stopping = stop.requested();
    const auto ready = poll(&out, 1, stopping ? grace_ms : stop_check_interval_ms);
    if (ready == 0 && stopping)
      return false;
    if (ready <= 0)
      continue;
    // A pipe that is ready takes so much without blocking.
    const auto n = write(STDOUT_FILENO, text.data(), std::min<std::size_t>(text.size(), PIPE_BUF));
    if (n < 0 && errno != EINTR && errno != EAGAIN)
      return false;
    text.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
  }
  return true;
}

bool output_is_terminal() {
  return isatty(STDOUT_FILENO) == 1;
}

bool errors_go_to_terminal() {
  return isatty(STDERR_FILENO) == 1;
}

std::size_t terminal_rows() {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0)
    return 24;
  return size.ws_row;
}

} // namespace program
