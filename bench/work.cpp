#include "work.hpp"

#include <cerrno>
#include <ctime>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

namespace bench {

void add_options(CLI::App& to, work& out) {
  to.add_option("--url", out.url, "The broker")->capture_default_str();
  to.add_option("--kind", out.kind, "book10, book20, own10, trade, kline or recorded")
      ->capture_default_str();
  to.add_option("--count", out.count, "How many events")->capture_default_str();
  to.add_option("--warm-up", out.warm_up, "How many of them do not count")->capture_default_str();
  to.add_option("--queue", out.queue, "Name of the queue")->capture_default_str();
  to.add_option("--prefetch", out.prefetch, "Prefetch count")->capture_default_str();
  to.add_flag("--no-ack", out.no_ack, "Without acknowledgements");
  to.add_option("--window", out.window, "Unconfirmed publications")->capture_default_str();
  to.add_flag("--numbered", out.numbered, "With an id, a time and a place in a stream");
  to.add_option("--broker-process", out.broker, "Whose CPU time is taken too");
  to.add_option("--rate", out.rate, "Events a second")->capture_default_str();
}

// The first event comes when all is quiet.
schedule::schedule(double rate)
    : start_(clock::now() + std::chrono::milliseconds{200}), interval_(1.0 / rate) {
  // nop
}

clock::time_point schedule::due(std::uint64_t number) const {
  return start_
         + std::chrono::duration_cast<clock::duration>(
             std::chrono::duration<double>{interval_ * static_cast<double>(number)});
}

void schedule::await(std::uint64_t number) const {
  auto since = due(number).time_since_epoch();
  auto seconds = std::chrono::floor<std::chrono::seconds>(since);
  timespec until{};
  until.tv_sec = seconds.count();
  until.tv_nsec = std::chrono::nanoseconds{since - seconds}.count();
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr) == EINTR) {
    // nop
  }
}

double schedule::lateness(std::uint64_t number, clock::time_point now) const {
  return std::chrono::duration<double, std::micro>(now - due(number)).count();
}

} // namespace bench
