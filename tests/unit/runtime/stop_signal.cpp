#define CAF_SUITE stop_signal

#include "actors/stop_signal.hpp"

#include <csignal>
#include <thread>

#include <unistd.h>

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace std::chrono_literals;

CAF_TEST(a signal that comes before anybody waits is awaited at once) {
  stop_signal stop;
  ::kill(::getpid(), SIGTERM);
  CAF_CHECK_EQUAL(stop.wait(), SIGTERM);
  CAF_CHECK_EQUAL(stop.wait_for(0ms), SIGTERM);
}

CAF_TEST(whoever waits is woken by either signal) {
  for (auto signal : {SIGINT, SIGTERM}) {
    stop_signal stop;
    std::jthread other{[signal] { ::kill(::getpid(), signal); }};
    CAF_CHECK_EQUAL(stop.wait(), signal);
  }
}

CAF_TEST(a former signal is forgotten) {
  stop_signal stop;
  CAF_CHECK_EQUAL(stop.wait_for(1ms), 0);
}

CAF_TEST(all who wait are told) {
  stop_signal first;
  stop_signal second;
  ::kill(::getpid(), SIGINT);
  CAF_CHECK_EQUAL(first.wait(), SIGINT);
  CAF_CHECK_EQUAL(second.wait(), SIGINT);
}

CAF_TEST(a signal that is blocked in all threads is taken as well) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigset_t before;
  ::pthread_sigmask(SIG_BLOCK, &set, &before);
  {
    stop_signal stop;
    ::pthread_kill(::pthread_self(), SIGTERM);
    CAF_CHECK_EQUAL(stop.wait(), SIGTERM);
  }
  sigset_t after;
  ::pthread_sigmask(SIG_SETMASK, &before, &after);
  CAF_CHECK(sigismember(&after, SIGTERM));
}

CAF_TEST(afterwards the signals are what they were) {
  struct sigaction ours {};
  ours.sa_handler = SIG_IGN;
  struct sigaction before {};
  ::sigaction(SIGTERM, &ours, &before);
  { stop_signal stop; }
  struct sigaction after {};
  ::sigaction(SIGTERM, &before, &after);
  CAF_CHECK(after.sa_handler == SIG_IGN);
}
