#pragma once

#include <csignal>

#include <pthread.h>

namespace actors {

/// Which signals this thread takes, and those that it starts meanwhile, as long as this lives.
class signal_mask {
public:
  /// `how` is that of `pthread_sigmask`.
  signal_mask(int how, const sigset_t& signals) {
    ::pthread_sigmask(how, &signals, &before_);
  }

  ~signal_mask() {
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

  signal_mask(const signal_mask&) = delete;
  signal_mask& operator=(const signal_mask&) = delete;

private:
  sigset_t before_{};
};

/// All signals but those that a thread causes itself.
inline sigset_t signals_of_others() {
  sigset_t result;
  ::sigfillset(&result);
  for (auto x : {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP})
    ::sigdelset(&result, x);
  return result;
}

/// Keeps signals for the application's own threads.
class blocked_signals : public signal_mask {
public:
  blocked_signals() : signal_mask(SIG_SETMASK, signals_of_others()) {
    // nop
  }
};

} // namespace actors
