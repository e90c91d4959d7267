#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/App.hpp>
#include <CLI/Validators.hpp>
#include <caf/expected.hpp>

#include "actors/config.hpp"

/// What makes the apps well-behaved programs.
namespace program {

/// The exit codes of all apps.
enum exit_code : int {
  ok = 0,
  /// Something failed at run time: no broker, a file, events that were lost.
  failed = 1,
  /// The command line or the config makes no sense.
  bad_usage = 2,
};

/// Whose certificates count between a relay and its hosts, and who we are.
struct tls_choice {
  actors::amqp::tls_options files;
  /// Only when it was asked for.
  bool off = false;
};

/// The options that all apps share.
struct broker_options {
  std::string broker;
  /// Relays, as host:port; instead of a broker.
  std::vector<std::string> centers;
  tls_choice tls;
  std::string config_file;
  std::string log_level;
  /// How long to wait for the broker at start, in seconds; 0 is for ever.
  double wait = 30;
};

void add_broker_options(CLI::App& app, broker_options& options);

/// `--center`, and how to reach it.
void add_center_options(CLI::App& app, broker_options& options);

/// `--tls-cacertfile` and so on, and `--no-tls`.
void add_tls_options(CLI::App& app, tls_choice& out);

/// Accepts numbers above 0 that no clock overflows with.
CLI::Validator positive_number();

/// Refuses the next option where a text was left out.
CLI::Validator no_option();

/// Reads the command line; the app has a name, which mistakes are told under.
/// The exit code if the program ends with that, after `--help` or a mistake.
std::optional<int> parse(CLI::App& app, int argc, char** argv);

/// The config that the options ask for: `--broker` and `--center` count over the
/// file's broker, and `default_broker` where neither names one. Without a LOG section
/// or `--log-level`, only warnings are logged.
caf::expected<actors::config> make_config(const broker_options& options,
                                          const std::string& default_broker = {});

/// Writes one line for the user to standard error, the app's name first.
void say(std::string_view app, std::string_view text);

} // namespace program
