// A strategy host of the fleet: follows what all hosts publish, on success and from a
// queue of its own, and publishes itself; by relays. What it handled and what was confirmed
// goes into a journal, line by line, so that nothing of it is lost when it is killed.

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>
#include <fcntl.h>
#include <unistd.h>

#include "actors/error.hpp"
#include "actors/event_center.hpp"
#include "actors/system_config.hpp"
#include "program/command_line.hpp"
#include "program/stop_signal.hpp"
#include "support/numbered.hpp"

namespace {

using namespace std::chrono_literals;
using actors::testing::numbered;

struct options {
  program::broker_options broker;
  std::string name;
  std::string journal;
  /// It publishes until there is this file.
  std::string stop_file;
  double rate = 50;
};

/// Lines that are in the kernel's hands when `write` returns.
class journal_file {
public:
  explicit journal_file(const std::string& path)
      : fd_(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) {
    // nop
  }

  ~journal_file() {
    ::close(fd_);
  }

  journal_file(const journal_file&) = delete;
  journal_file& operator=(const journal_file&) = delete;

  explicit operator bool() const noexcept {
    return fd_ >= 0;
  }

  /// "what publisher number".
  bool write(const char* what, const std::string& publisher, std::uint64_t number) const {
    const auto line = what + (" " + publisher + " " + std::to_string(number) + "\n");
    return ::write(fd_, line.data(), line.size()) == static_cast<ssize_t>(line.size());
  }

private:
  int fd_;
};

using journal_ptr = std::shared_ptr<const journal_file>;

/// The moment in microseconds, which is the number of what is published then: it ascends
/// over all lives, and says how old an event is.
std::uint64_t moment() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(now).count());
}

caf::behavior strategy(caf::event_based_actor* self, actors::event_center center,
                       const std::string& name, journal_ptr journal) {
  auto what = actors::subscription::to<numbered>("fleet.#")
                  .on_durable_queue("fleet." + name)
                  .prefetch(50)
                  .acked(actors::ack_policy::on_success);
  center.subscribe(self, std::move(what))
      .then([=](const actors::subscribed&) { program::say(name, "subscribed"); },
            [=](caf::error& err) {
              program::say(name, actors::text_of(err));
              self->quit(std::move(err));
            });
  return {[=](const numbered& x) -> caf::result<void> {
    if (!journal->write("handled", x.publisher, x.number))
      return actors::make_error(actors::ec::handler_failed, "the journal cannot be written");
    return caf::unit;
  }};
}

caf::behavior publisher(caf::event_based_actor* self, actors::event_center center, const options& x,
                        journal_ptr journal) {
  self->send(self, caf::tick_atom::value);
  const auto pace = std::chrono::microseconds{static_cast<std::int64_t>(1e6 / x.rate)};
  return {[=, name = x.name, stop_file = x.stop_file](caf::tick_atom) {
    if (std::filesystem::exists(stop_file))
      return;
    numbered event;
    event.publisher = name;
    event.key = "fleet." + name;
    event.number = moment();
    center.publish(self, event, event.key, {.mandatory = true, .persistent = true})
        .then([=](const actors::published&) { journal->write("confirmed", name, event.number); },
              [](const caf::error&) {
                // Nothing is promised about it.
              });
    self->delayed_send(self, pace, caf::tick_atom::value);
  }};
}

} // namespace

int main(int argc, char** argv) {
  program::stop_signal stop;
  options x;
  CLI::App app{"A strategy host of the fleet.", "fleet_host"};
  program::add_broker_options(app, x.broker);
  program::add_center_options(app, x.broker);
  app.add_option("--name", x.name, "Its name")->required();
  app.add_option("--journal", x.journal, "What it handled, and what was confirmed")->required();
  app.add_option("--stop-file", x.stop_file, "Publish until there is this file")->required();
  app.add_option("--rate", x.rate, "Events a second")->capture_default_str();
  if (auto code = program::parse(app, argc, argv))
    return *code;
  auto settings = program::make_config(x.broker);
  auto journal = std::make_shared<const journal_file>(x.journal);
  if (!settings || !*journal) {
    program::say(x.name,
                 settings ? "cannot write " + x.journal : actors::text_of(settings.error()));
    return program::bad_usage;
  }
  settings->server_id = x.name;
  actors::system_config system_settings;
  caf::actor_system system{system_settings};
  actors::scoped_event_center center{system, std::move(*settings)};
  const actors::event_center& handle = center;
  system.spawn(strategy, handle, x.name, journal);
  system.spawn(publisher, handle, x, journal);
  while (!stop.wait_for(1h)) {}
  return program::ok;
}
