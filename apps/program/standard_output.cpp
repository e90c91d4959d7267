#include "program/standard_output.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdio>
#include <string>

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "program/command_line.hpp"

namespace program {

namespace {

constexpr int stop_check_interval_ms = 100;

/// The grace of a slow reader after the stop signal.
constexpr int grace_ms = 200;

bool reader_is_gone() {
  pollfd out{STDOUT_FILENO, POLLOUT, 0};
  return poll(&out, 1, 0) > 0 && (out.revents & POLLERR) != 0;
}

} // namespace

std::error_code write_out(std::string_view text, const stop_signal& stop) {
  pollfd out{STDOUT_FILENO, POLLOUT, 0};
  while (!text.empty()) {
    const auto stopping = stop.requested();
    const auto ready = poll(&out, 1, stopping ? grace_ms : stop_check_interval_ms);
    if (ready == 0 && stopping)
      return std::make_error_code(std::errc::operation_canceled);
    if (ready <= 0)
      continue;
    // A pipe that is ready takes so much without blocking.
    const auto n = write(STDOUT_FILENO, text.data(), std::min<std::size_t>(text.size(), PIPE_BUF));
    if (n < 0 && errno != EINTR && errno != EAGAIN)
      return {errno, std::generic_category()};
    text.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
  }
  return {};
}

bool is_failure(const std::error_code& x) {
  return x && x != std::errc::broken_pipe && x != std::errc::operation_canceled;
}

int flush_out(std::string_view app, int code) {
  errno = 0;
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0)
    return code;
  const std::error_code why{errno, std::generic_category()};
  if (errno == 0 ? reader_is_gone() : !is_failure(why))
    return code;
  say(app, "standard output: " + (why ? why.message() : "not all could be written"));
  return code == ok ? failed : code;
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

std::size_t terminal_columns() {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
    return 80;
  return size.ws_col;
}

} // namespace program
