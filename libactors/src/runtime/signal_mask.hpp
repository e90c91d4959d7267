#pragma once

#include <csignal>

#include <pthread.h>

namespace actors {

/// Sets the signals that this thread takes, and threads that it starts meanwhile, until the
/// destructor runs.
class signal_mask {
public:
  /// `how` is a value for `pthread_sigmask`.
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

/// Returns all signals but those that a thread causes itself.
inline sigset_t signals_of_others() {
  sigset_t result;
  ::sigfillset(&result);
  for (auto x : {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP})
    ::sigdelset(&result, x);
  return result;
}

/// Blocks signals in this scope, so that only the application's own threads take them.
class blocked_signals : public signal_mask {
public:
  blocked_signals() : signal_mask(SIG_SETMASK, signals_of_others()) {
    // nop
  }
};

} // namespace actors
