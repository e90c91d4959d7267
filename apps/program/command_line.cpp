#include "program/command_line.hpp"

#include <cstdio>
#include <iostream>
#include <regex>
#include <sstream>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "actors/amqp/endpoint.hpp"
#include "actors/error.hpp"
#include "actors/event_center.hpp"
#include "actors/version.hpp"
#include "program/standard_output.hpp"

namespace program {

namespace {

actors::log_level to_level(std::string_view name) {
  using enum actors::log_level;
  if (name == "debug")
    return debug;
  if (name == "info")
    return info;
  if (name == "error")
    return error;
  if (name == "off")
    return off;
  return warning;
}

/// Accepts what `accepts` does, and says what it wants of anything else.
template <class Predicate>
CLI::Validator number_that(Predicate accepts, const std::string& wanted) {
  return CLI::Validator{[=](std::string& text) -> std::string {
                          double x = 0;
                          if (CLI::detail::lexical_cast(text, x) && accepts(x))
                            return {};
                          return "'" + text + "' is not " + wanted;
                        },
                        ""};
}

/// Returns the text with "..." for what stands between "://" and "@": it may be a URL that was
/// given where none is expected.
std::string without_passwords(std::string_view text) {
  static const std::regex login{"://[^@\\s]*@"};
  return std::regex_replace(std::string{text}, login, "://...@");
}

std::string mistake(const CLI::App* app, const CLI::Error& err) {
  const auto& name = app->get_name();
  return name + ": " + without_passwords(err.what()) + "\nRun " + name
         + " --help for more information.\n";
}

} // namespace

void add_broker_options(CLI::App& app, broker_options& options) {
  app.set_version_flag("--version", app.get_name() + ' ' + std::string{actors::version},
                       "Print the version and exit");
  app.add_option("--broker", options.broker,
                 "The broker's URL, amqp://user:password@host:port/vhost or memory:NAME")
      ->type_name("URL");
  app.add_option("--config", options.config_file, "An AIOQuant config file (JSON)")
      ->type_name("FILE");
  app.add_option("--log-level", options.log_level, "What is logged to standard error")
      ->check(CLI::IsMember({"debug", "info", "warning", "error", "off"}));
  app.add_option("--wait", options.wait, "How long to wait for the broker; 0 is for ever")
      ->type_name("SECONDS")
      ->check(number_that([](double x) { return x >= 0; }, "0 or a positive number"))
      ->capture_default_str();
}

void add_center_options(CLI::App& app, broker_options& options) {
  app.add_option("--center", options.centers,
                 "A relay instead of a broker, as HOST:PORT; the next of several is for when one "
                 "is lost")
      ->type_name("HOST:PORT")
      ->allow_extra_args(false) // what follows is no relay
      ->excludes("--broker");
  add_tls_options(app, options.tls);
}

void add_tls_options(CLI::App& app, tls_choice& out) {
  const auto* group = "TLS between relay and hosts";
  auto* off = app.add_flag("--no-tls", out.off,
                           "Without TLS: for one host, or a network that "
                           "nobody else reaches")
                  ->group(group);
  const auto add_file = [&](const char* name, std::string& file, const char* what) {
    app.add_option(name, file, what)->type_name("FILE")->group(group)->excludes(off);
  };
  add_file("--tls-cacertfile", out.files.cacertfile, "The authorities that are trusted (PEM)");
  add_file("--tls-certfile", out.files.certfile, "Our certificate (PEM)");
  add_file("--tls-keyfile", out.files.keyfile, "Its private key (PEM), if not in the same file");
}

CLI::Validator positive_number() {
  return number_that([](double x) { return x > 0 && x <= 1e9; }, "a positive number up to 1e9");
}

CLI::Validator no_option() {
  return CLI::Validator{[](std::string& text) -> std::string {
                          return text.starts_with("--") ? "'" + text + "' is an option, not a value"
                                                        : std::string{};
                        },
                        ""};
}

std::optional<int> parse(CLI::App& app, int argc, char** argv) {
  app.failure_message(mistake);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& err) {
    std::ostringstream out;
    const auto code = app.exit(err, out, std::cerr) == 0 ? ok : bad_usage;
    std::fputs(out.str().c_str(), stdout);
    return flush_out(app.get_name(), code);
  }
  return std::nullopt;
}

namespace {

caf::expected<std::vector<actors::amqp::endpoint>> read_centers(const broker_options& options) {
  std::vector<actors::amqp::endpoint> result;
  for (const auto& text : options.centers) {
    auto where = actors::amqp::parse_endpoint((options.tls.off ? "relay://" : "relays://") + text);
    if (!where)
      return std::move(where.error());
    where->tls = options.tls.files;
    if (auto problem = actors::amqp::check(*where))
      return actors::make_error(std::move(problem));
    result.push_back(std::move(*where));
  }
  return result;
}

} // namespace

caf::expected<actors::config> make_config(const broker_options& options,
                                          const std::string& default_broker) {
  actors::config result;
  if (!options.config_file.empty()) {
    auto from_file = actors::read_config(options.config_file);
    if (!from_file)
      return std::move(from_file.error());
    result = std::move(*from_file);
  }
  auto broker = options.broker;
  if (broker.empty() && options.config_file.empty())
    broker = default_broker;
  if (!broker.empty()) {
    auto endpoint = actors::amqp::parse_endpoint(broker);
    if (!endpoint)
      return std::move(endpoint.error());
    result.endpoints = {std::move(*endpoint)};
  }
  if (!options.centers.empty()) {
    auto relays = read_centers(options);
    if (!relays)
      return std::move(relays.error());
    result = actors::event_center::remote(std::move(*relays), std::move(result));
  }
  if (!options.log_level.empty())
    result.log.level = to_level(options.log_level);
  else if (!result.document.contains("LOG"))
    result.log.level = actors::log_level::warning;
  return result;
}

void say(std::string_view app, std::string_view text) {
  std::string line{app};
  line += ": ";
  line += without_passwords(text);
  line += '\n';
  std::fwrite(line.data(), 1, line.size(), stderr);
}

} // namespace program
