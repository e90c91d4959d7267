#pragma once

#include <csignal>

#include <pthread.h>

namespace actors {

/// Keeps signals for the application's own threads: a thread that is started
/// while this lives takes none but those that it causes itself.
class blocked_signals {
public:
  blocked_signals() {
    sigset_t all;
    ::sigfillset(&all);
    for (auto x : {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP})
      ::sigdelset(&all, x);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }

  ~blocked_signals() {
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

  blocked_signals(const blocked_signals&) = delete;
  blocked_signals& operator=(const blocked_signals&) = delete;

private:
  sigset_t before_{};
};

} // namespace actors
