#include "program/stop_signal.hpp"

#include <csignal>
#include <utility>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace program {

stop_signal::stop_signal() {
  std::signal(SIGPIPE, SIG_IGN);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal_fd_ = signalfd(-1, &signals, SFD_CLOEXEC);
  wake_fd_ = eventfd(0, EFD_CLOEXEC);
  thread_ = std::thread{[this] { run(); }};
}

stop_signal::~stop_signal() {
  eventfd_write(wake_fd_, 1);
  thread_.join();
  close(wake_fd_);
  close(signal_fd_);
}

bool stop_signal::requested() const {
  std::lock_guard guard{mutex_};
  return requested_;
}

bool stop_signal::wait_for(std::chrono::milliseconds limit) const {
  std::unique_lock guard{mutex_};
  return changed_.wait_for(guard, limit, [this] { return requested_; });
}

void stop_signal::then(std::function<void()> f) {
  std::lock_guard guard{mutex_};
  then_ = std::move(f);
  if (requested_ && then_)
    then_();
}

void stop_signal::run() {
  pollfd fds[2] = {{signal_fd_, POLLIN, 0}, {wake_fd_, POLLIN, 0}};
  for (;;) {
    if (poll(fds, 2, -1) < 0)
      continue;
    if (fds[1].revents)
      return;
    signalfd_siginfo info;
    if (read(signal_fd_, &info, sizeof(info)) != sizeof(info))
      continue;
    std::lock_guard guard{mutex_};
    requested_ = true;
    changed_.notify_all();
    if (then_)
      then_();
  }
}

} // namespace program
