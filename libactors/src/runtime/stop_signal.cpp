#include "actors/stop_signal.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <system_error>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "runtime/signal_mask.hpp"

namespace actors {

namespace {

constexpr std::array signals{SIGINT, SIGTERM};

// A signal handler may touch only these.
std::atomic<int> received{0};
std::atomic<int> wake_fd{-1};

extern "C" void on_stop_signal(int number) {
  const auto error = errno;
  received = number;
  const char byte = 0;
  [[maybe_unused]] const auto written = ::write(wake_fd, &byte, 1);
  errno = error;
}

/// The signal handlers, installed while any `stop_signal` lives.
struct installation {
  std::mutex mutex;
  std::size_t users = 0;
  /// The pipe is readable once a signal has come. It is never closed, because a handler may be
  /// running on any thread.
  std::array<int, 2> pipe{-1, -1};
  std::array<struct sigaction, signals.size()> before{};

  void add() {
    std::lock_guard guard{mutex};
    if (users > 0) {
      ++users;
      return;
    }
    if (pipe[0] < 0 && ::pipe2(pipe.data(), O_CLOEXEC | O_NONBLOCK) != 0)
      throw std::system_error(errno, std::generic_category(), "no pipe for the stop signals");
    forget_former();
    wake_fd = pipe[1];
    struct sigaction ours {};
    ours.sa_handler = on_stop_signal;
    ours.sa_flags = SA_RESTART;
    sigemptyset(&ours.sa_mask);
    for (std::size_t i = 0; i < signals.size(); ++i)
      ::sigaction(signals[i], &ours, &before[i]);
    users = 1;
  }

  void remove() {
    std::lock_guard guard{mutex};
    if (--users > 0)
      return;
    for (std::size_t i = 0; i < signals.size(); ++i)
      ::sigaction(signals[i], &before[i], nullptr);
  }

  void forget_former() const {
    received = 0;
    for (char byte = 0; ::read(pipe[0], &byte, 1) > 0;)
      ;
  }
};

installation& installed() {
  static installation instance;
  return instance;
}

/// Returns the signals to unblock in a waiting thread, which all other threads may block.
sigset_t stop_signals() {
  sigset_t result;
  sigemptyset(&result);
  for (auto x : signals)
    sigaddset(&result, x);
  return result;
}

int poll_timeout(std::chrono::milliseconds x) {
  return static_cast<int>(std::clamp<std::int64_t>(x.count(), 0, INT_MAX));
}

} // namespace

stop_signal::stop_signal() {
  installed().add();
}

stop_signal::~stop_signal() {
  installed().remove();
}

int stop_signal::wait() const {
  constexpr std::chrono::hours long_enough{24};
  for (;;)
    if (const auto result = wait_for(long_enough); result != 0)
      return result;
}

int stop_signal::wait_for(std::chrono::milliseconds limit) const {
  using clock = std::chrono::steady_clock;
  const signal_mask ours{SIG_UNBLOCK, stop_signals()};
  const auto end = clock::now() + limit;
  pollfd readable{installed().pipe[0], POLLIN, 0};
  while (received == 0) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - clock::now());
    if (left.count() <= 0)
      return 0;
    ::poll(&readable, 1, poll_timeout(left));
  }
  return received;
}

int wait_for_stop_signal() {
  return stop_signal{}.wait();
}

} // namespace actors
