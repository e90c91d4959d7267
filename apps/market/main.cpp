#include <algorithm>
#include <cstdio>
#include <memory>

#include <caf/actor_system.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <fmt/format.h>

#include "actors/error.hpp"
#include "actors/event_center.hpp"
#include "actors/json.hpp"
#include "actors/system_config.hpp"
#include "market_data/publisher.hpp"
#include "market_data/recording.hpp"
#include "market_data/simulated_market.hpp"
#include "program/await_link.hpp"
#include "program/command_line.hpp"
#include "program/standard_output.hpp"
#include "program/stop_atom.hpp"
#include "program/stop_signal.hpp"

namespace {

using program::say;

struct options {
  program::broker_options broker;
  std::string file;
  std::string platform;
  std::string symbol;
  std::map<std::string, std::string> symbol_map;
  std::vector<std::string> symbols{"BTC/USDT", "ETH/USDT", "SOL/USDT"};
  double rate = 100;
  double speed = 1;
  std::uint64_t seed = 1;
  std::size_t levels = 10;
  double seconds = 0;
  std::uint64_t count = 0;
  bool json = false;
};

const char* const examples = R"(Examples:
  market                                        a simulated market, until Ctrl-C
  market --symbols BTC/USDT,ETH/USDT --rate 5000 --seconds 10
  market --file btcusdt.txt.gz --platform binance --symbol BTC/USDT --speed 10
  market --file trades.csv --symbol ETH/USDT --speed max --json
  market --file events.jsonl --speed max        what `ticker --json` has printed

A file is plain text or gzip, and either
  - recorded messages of Binance, one a line: "<ns> <JSON>" or "<seconds>: <JSON>",
  - events, one a line: {"exchange": ..., "routing_key": ..., "name": ..., "data": ...},
  - CSV with a header, times in milliseconds since 1970:
      time,price,quantity,action           trades (action is BUY or SELL)
      time,open,high,low,close,volume      klines (and kline_type, if not one minute)
    and, if it holds several, the columns platform and symbol.

Exit codes: 0 all events confirmed; 1 something failed; 2 bad command line or config.)";

/// "max" or a positive number; 0 stands for "max".
std::string read_speed(std::string& text) {
  if (text == "max") {
    text = "0";
    return {};
  }
  return CLI::PositiveNumber(text).empty() ? "" : "'" + text + "' is not 1, N or max";
}

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> result;
  for (auto comma = text.find(','); comma != text.npos; comma = text.find(',')) {
    result.emplace_back(text.substr(0, comma));
    text.remove_prefix(comma + 1);
  }
  result.emplace_back(text);
  return result;
}

std::string read_mapping(const std::string& text, std::map<std::string, std::string>& out) {
  const auto sign = text.find('=');
  if (sign == std::string::npos || sign == 0 || sign + 1 == text.size())
    return "'" + text + "' is not like BTCUSDT=BTC/USDT";
  out[text.substr(0, sign)] = text.substr(sign + 1);
  return {};
}

void add_options(CLI::App& app, options& x) {
  program::add_broker_options(app, x.broker);
  program::add_center_options(app, x.broker);
  app.add_option("--file", x.file, "Publish a recorded file")->type_name("FILE");
  app.add_option("--platform", x.platform,
                 "The platform in routing keys (binance for a file, else simulated)")
      ->check(program::no_option());
  auto* file_only = app.get_option("--file");
  app.add_option("--symbol", x.symbol, "The symbol of a file that holds one, e.g. BTC/USDT")
      ->needs(file_only);
  app.add_option_function<std::vector<std::string>>(
         "--symbol-map",
         [&x](const std::vector<std::string>& texts) {
           for (const auto& text : texts)
             if (auto err = read_mapping(text, x.symbol_map); !err.empty())
               throw CLI::ValidationError{"--symbol-map", err};
         },
         "The symbols of a file that holds several, e.g. BTCUSDT=BTC/USDT,ETHUSDT=ETH/USDT")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->needs(file_only);
  app.add_option_function<std::string>(
         "--symbols",
         [&x](const std::string& text) {
           x.symbols = split(text);
           if (std::ranges::count(x.symbols, "") > 0)
             throw CLI::ValidationError{"--symbols",
                                        "'" + text + "' is not like BTC/USDT,ETH/USDT"};
         },
         "The symbols of the simulated market")
      ->type_name("TEXT,...")
      ->default_str("BTC/USDT,ETH/USDT,SOL/USDT")
      ->check(program::no_option())
      ->excludes(file_only);
  app.add_option("--rate", x.rate, "Events per second of the simulated market")
      ->check(program::positive_number())
      ->excludes(file_only)
      ->capture_default_str();
  app.add_option("--seed", x.seed, "Equal seeds make equal simulated markets")
      ->excludes(file_only)
      ->capture_default_str();
  app.add_option("--levels", x.levels, "Order book levels on either side")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--speed", x.speed, "1 as it was, N times that, or max")
      ->type_name("1|N|max")
      ->transform(CLI::Validator{read_speed, "", "speed"})
      ->capture_default_str();
  app.add_option("--seconds", x.seconds, "Stop after this time")->check(program::positive_number());
  app.add_option("--count", x.count, "Stop after so many events")
      ->check(program::positive_number());
  app.add_flag("--json", x.json, "End with one line of totals in JSON on standard output");
}

caf::expected<std::unique_ptr<market_data::feed>> open_feed(const options& x) {
  if (x.file.empty()) {
    using namespace std::chrono;
    market_data::simulation_settings settings;
    if (!x.platform.empty())
      settings.platform = x.platform;
    settings.symbols = x.symbols;
    settings.seed = x.seed;
    settings.rate = x.rate;
    settings.levels = x.levels;
    settings.start = floor<milliseconds>(system_clock::now().time_since_epoch());
    return std::unique_ptr<market_data::feed>{new market_data::simulated_market{settings}};
  }
  market_data::recording_settings settings;
  settings.path = x.file;
  if (!x.platform.empty())
    settings.platform = x.platform;
  settings.symbol = x.symbol;
  settings.symbol_map = x.symbol_map;
  settings.levels = x.levels;
  auto result = market_data::recording::open(settings);
  if (!result)
    return std::move(result.error());
  return std::unique_ptr<market_data::feed>{new market_data::recording{std::move(*result)}};
}

market_data::publish_settings pace(const options& x) {
  using progress = market_data::publish_settings::progress;
  market_data::publish_settings result;
  result.speed = x.speed;
  result.count = x.count;
  result.limit = std::chrono::milliseconds{static_cast<std::int64_t>(x.seconds * 1000)};
  if (!x.json)
    result.show = program::errors_go_to_terminal() ? progress::bar : progress::lines;
  return result;
}

std::uint64_t sum(const std::map<std::string, std::uint64_t>& xs) {
  std::uint64_t result = 0;
  for (const auto& [what, count] : xs)
    result += count;
  return result;
}

/// What was published but has no good answer, refused or open.
std::uint64_t lost(const market_data::stream_totals& x) {
  return x.published - x.confirmed;
}

void print_json(const market_data::publish_report& x) {
  auto line = fmt::format(R"({{"published": {}, "confirmed": {}, "failed": {}, "skipped": {}, )"
                          R"("seconds": {:.3f}, "by_key": {{)",
                          x.all.published, x.all.confirmed, lost(x.all), sum(x.skipped), x.seconds);
  const char* separator = "";
  for (const auto& [stream, totals] : x.by_stream) {
    line += separator;
    actors::append_quoted(line, stream);
    line += fmt::format(": {}", totals.published);
    separator = ", ";
  }
  line += "}}\n";
  std::fwrite(line.data(), 1, line.size(), stdout);
}

void print_table(const market_data::publish_report& x) {
  fmt::print("{:<40} {:>10} {:>10} {:>8}\n", "stream", "published", "confirmed", "failed");
  for (const auto& [stream, totals] : x.by_stream)
    fmt::print("{:<40} {:>10} {:>10} {:>8}\n", stream, totals.published, totals.confirmed,
               lost(totals));
  fmt::print("{:<40} {:>10} {:>10} {:>8}\n", "all", x.all.published, x.all.confirmed, lost(x.all));
  if (x.seconds > 0)
    fmt::print("{:.1f} s, {:.0f} events/s\n", x.seconds,
               static_cast<double>(x.all.published) / x.seconds);
  const char* separator = "lines skipped: ";
  for (const auto& [what, count] : x.skipped) {
    fmt::print("{}{} {}", separator, count, what);
    separator = ", ";
  }
  if (!x.skipped.empty())
    fmt::print("\n");
}

int judge(const options& x, const market_data::publish_report& report, bool stopped) {
  if (!report.feed_error.empty())
    say("market", report.feed_error);
  if (!report.publish_error.empty())
    say("market", "not every event could be published: " + report.publish_error);
  else if (lost(report.all) > 0)
    say("market", fmt::format("stopped before {} events were confirmed", lost(report.all)));
  const auto nothing = !x.file.empty() && report.all.published == 0 && !stopped;
  if (nothing && report.feed_error.empty())
    say("market", "the file '" + x.file + "' holds no event");
  const auto good = report.feed_error.empty() && lost(report.all) == 0 && !nothing;
  return good ? program::ok : program::failed;
}

int run(const options& x, actors::config settings, std::unique_ptr<market_data::feed> feed,
        program::stop_signal& stop) {
  actors::system_config system_settings;
  caf::actor_system system{system_settings};
  actors::scoped_event_center center{system, std::move(settings)};
  caf::scoped_actor self{system};
  if (auto err = program::await_link("market", self, center, actors::link_role::publishing,
                                     x.broker.wait, stop)) {
    say("market", actors::text_of(err));
    return stop.requested() ? program::ok : program::failed;
  }
  const actors::event_center& handle = center;
  auto publisher = system.spawn(market_data::publisher, handle, std::move(feed), pace(x));
  stop.then([publisher] { caf::anon_send(publisher, program::stop_atom_v); });
  int result = program::failed;
  self->request(publisher, caf::infinite, caf::get_atom_v)
      .receive(
          [&](const market_data::publish_report& report) {
            x.json ? print_json(report) : print_table(report);
            result = program::flush_out("market", judge(x, report, stop.requested()));
          },
          [&](const caf::error& err) { say("market", actors::text_of(err)); });
  stop.then({});
  return result;
}

} // namespace

int main(int argc, char** argv) {
  program::stop_signal stop;
  options x;
  CLI::App app{"Publishes market events: a simulated market or a recorded file.", "market"};
  app.footer(examples);
  add_options(app, x);
  if (auto code = program::parse(app, argc, argv))
    return *code;
  auto settings = program::make_config(x.broker);
  if (!settings) {
    say("market", actors::text_of(settings.error()));
    return program::bad_usage;
  }
  auto feed = open_feed(x);
  if (!feed) {
    say("market", actors::text_of(feed.error()));
    return program::failed;
  }
  return run(x, std::move(*settings), std::move(*feed), stop);
}
