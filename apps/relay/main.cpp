#include <charconv>
#include <string>
#include <string_view>

#include <caf/actor_system.hpp>

#include "actors/error.hpp"
#include "actors/relay.hpp"
#include "program/command_line.hpp"
#include "program/stop_signal.hpp"

namespace {

using program::say;

struct options {
  program::broker_options broker;
  std::string listen = "127.0.0.1:" + std::to_string(actors::amqp::relay_port);
  actors::relay_limits limits;
};

const char* const examples = R"(Examples:
  relay --no-tls                                for strategies on this host, with the broker here
  relay --broker amqp://user:password@broker --listen 0.0.0.0:5670 \
        --tls-cacertfile ca.pem --tls-certfile relay.pem
  ticker --center relay-1:5670 --tls-cacertfile ca.pem --tls-certfile host.pem

A host needs a certificate of the same authority: who has one reads and publishes everything.
"relay: listening on ..." on standard error says that hosts may come.

Exit codes: 0 ended as asked; 1 something failed; 2 bad command line or config.)";

void add_options(CLI::App& app, options& x) {
  program::add_broker_options(app, x.broker);
  app.add_option("--listen", x.listen, "Where hosts reach it; 0.0.0.0 is every interface")
      ->type_name("ADDRESS:PORT")
      ->capture_default_str();
  app.add_option("--max-links", x.limits.max_links,
                 "Links of hosts at a time, two for each event center")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  app.add_option("--max-strangers", x.limits.max_strangers,
                 "Connections at a time that have not said hello; the oldest go first")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  app.add_option("--max-unconfirmed", x.limits.max_unconfirmed,
                 "What a link may have published that the broker has not confirmed, in bytes")
      ->check(CLI::Range(1'024, 1'000'000'000))
      ->capture_default_str();
  app.add_option("--max-message", x.limits.max_message,
                 "The largest message of a host with its names and headers, in bytes; 8192 is the "
                 "least")
      ->check(CLI::Range(actors::relay_limits::least_message, std::size_t{1'000'000'000}))
      ->capture_default_str();
  program::add_tls_options(app, x.broker.tls);
}

/// ADDRESS:PORT, the port being 0 for any that is free.
bool read_listen(std::string_view text, actors::relay_settings& out) {
  const auto colon = text.rfind(':');
  if (colon == text.npos || colon == 0)
    return false;
  auto address = text.substr(0, colon);
  if (address.starts_with('[') && address.ends_with(']'))
    address = address.substr(1, address.size() - 2);
  out.address = address;
  const auto port = text.substr(colon + 1);
  const auto* last = port.data() + port.size();
  const auto [end, error] = std::from_chars(port.data(), last, out.port);
  return error == std::errc{} && end == last && !port.empty();
}

caf::expected<actors::relay_settings> make_settings(const options& x) {
  auto center = program::make_config(x.broker);
  if (!center)
    return std::move(center.error());
  actors::relay_settings result;
  if (!read_listen(x.listen, result))
    return actors::make_error(actors::ec::invalid_argument,
                              "--listen '" + x.listen + "' is not ADDRESS:PORT");
  result.center = std::move(*center);
  result.limits = x.limits;
  return result;
}

int run(const actors::relay_settings& settings, actors::relay_system_config& system_settings,
        program::stop_signal& stop) {
  caf::actor_system system{system_settings};
  actors::scoped_relay relay{system, settings};
  if (auto err = relay.start()) {
    say("relay", actors::text_of(err));
    return program::failed;
  }
  say("relay", "listening on " + settings.address + ":" + std::to_string(relay.port()));
  while (!stop.wait_for(std::chrono::hours{1})) {}
  return program::ok;
}

int run_over_tls(const actors::relay_settings& settings, const actors::amqp::tls_options& files,
                 program::stop_signal& stop) {
  if (auto err = actors::relay_system_config::check(files)) {
    say("relay", actors::text_of(err) + ". Or --no-tls, where nobody else reaches the port.");
    return program::bad_usage;
  }
  actors::relay_system_config system_settings{files};
  return run(settings, system_settings, stop);
}

} // namespace

int main(int argc, char** argv) {
  program::stop_signal stop;
  options x;
  x.broker.log_level = "info";
  CLI::App app{"Serves the events of a broker to strategies on other hosts.", "relay"};
  app.footer(examples);
  add_options(app, x);
  if (auto code = program::parse(app, argc, argv))
    return *code;
  auto settings = make_settings(x);
  if (!settings) {
    say("relay", actors::text_of(settings.error()));
    return program::bad_usage;
  }
  if (!x.broker.tls.off)
    return run_over_tls(*settings, x.broker.tls.files, stop);
  actors::relay_system_config system_settings;
  return run(*settings, system_settings, stop);
}
