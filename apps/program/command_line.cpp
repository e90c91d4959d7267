#include "program/command_line.hpp"

#include <cstdio>
#include <iostream>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "actors/amqp/endpoint.hpp"

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

std::string mistake(const CLI::App* app, const CLI::Error& err) {
  const auto& name = app->get_name();
  return name + ": " + err.what() + "\nRun " + name + " --help for more information.\n";
}

} // namespace

void add_broker_options(CLI::App& app, broker_options& options) {
  app.set_version_flag("--version", app.get_name() + " " + ACTORS_VERSION,
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

CLI::Validator positive_number() {
  return number_that([](double x) { return x > 0 && x <= 1e9; }, "a positive number up to 1e9");
}

std::optional<int> parse(CLI::App& app, int argc, char** argv) {
  app.failure_message(mistake);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& err) {
    return app.exit(err, std::cout, std::cerr) == 0 ? ok : bad_usage;
  }
  return std::nullopt;
}

caf::expected<actors::config> make_config(const broker_options& options,
                                          const std::string& default_broker) {
  actors::config result;
  result.instance = actors::unique_instance();
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
  if (!options.log_level.empty())
    result.log.level = to_level(options.log_level);
  else if (!result.document.contains("LOG"))
    result.log.level = actors::log_level::warning;
  return result;
}

void say(std::string_view app, std::string_view text) {
  std::string line{app};
  line += ": ";
  line += text;
  line += '\n';
  std::fwrite(line.data(), 1, line.size(), stderr);
}

} // namespace program
