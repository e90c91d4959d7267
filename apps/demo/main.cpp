#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <caf/actor_system.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <fmt/format.h>

#include "actors/error.hpp"
#include "actors/event_center.hpp"
#include "actors/system_config.hpp"
#include "demo/kline_builder.hpp"
#include "demo/market_maker.hpp"
#include "demo/spread_watcher.hpp"
#include "market_data/publisher.hpp"
#include "market_data/simulated_market.hpp"
#include "program/await_link.hpp"
#include "program/command_line.hpp"
#include "program/standard_output.hpp"
#include "program/stop_atom.hpp"
#include "program/stop_signal.hpp"

namespace {

using demo::print_line;
using program::say;

struct options {
  program::broker_options broker;
  double seconds = 10;
  double rate = 500;
  std::uint64_t seed = 1;
};

const char* const examples = R"(Examples:
  demo                                          ten seconds, all in this process
  demo --broker amqp://guest:guest@localhost    the same through RabbitMQ
  demo --seconds 60 --rate 5000 --seed 7

The market is simulated and published as the platform "simulated", so that it never
mixes with real prices on a shared broker.

Exit codes: 0 the strategies received events, or it was stopped; 1 something failed;
2 bad command line or config.)";

constexpr const char* platform = "simulated";

constexpr std::chrono::seconds candle_interval{2};

/// What the three strategies subscribe to, in all.
constexpr std::size_t subscription_count = 5;

void add_options(CLI::App& app, options& x) {
  program::add_broker_options(app, x.broker);
  app.add_option("--seconds", x.seconds, "How long")
      ->check(program::positive_number())
      ->capture_default_str();
  app.add_option("--rate", x.rate, "Events per second of the simulated market")
      ->check(program::positive_number())
      ->capture_default_str();
  app.add_option("--seed", x.seed, "Equal seeds make equal markets")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
}

actors::center_status status_of(caf::scoped_actor& self, const actors::event_center& center) {
  actors::center_status result;
  center.status(self).receive([&](actors::center_status& x) { result = std::move(x); },
                              [](const caf::error&) {});
  return result;
}

/// Polls until `condition` holds for the center's status, the stop signal comes
/// or the time is over. True: it holds.
template <class Condition>
bool await_status(caf::scoped_actor& self, const actors::event_center& center,
                  const program::stop_signal& stop, std::chrono::milliseconds limit,
                  Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!condition(status_of(self, center)))
    if (std::chrono::steady_clock::now() > deadline || stop.wait_for(std::chrono::milliseconds{10}))
      return false;
  return true;
}

bool all_consuming(const actors::center_status& x) {
  const auto& handlers = x.dispatcher.handlers;
  return handlers.size() == subscription_count
         && std::ranges::all_of(handlers, &actors::handler_status::consuming);
}

std::uint64_t count_of(const market_data::publish_report& x, std::string_view exchange) {
  std::uint64_t result = 0;
  for (const auto& [stream, totals] : x.by_stream)
    if (stream.starts_with(exchange))
      result += totals.confirmed;
  return result;
}

std::optional<market_data::publish_report> run_market(caf::scoped_actor& self,
                                                      const actors::event_center& center,
                                                      const options& x,
                                                      program::stop_signal& stop) {
  using namespace std::chrono;
  market_data::simulation_settings settings;
  settings.platform = platform;
  settings.seed = x.seed;
  settings.rate = x.rate;
  settings.start = floor<milliseconds>(system_clock::now().time_since_epoch());
  market_data::publish_settings pace;
  pace.limit = milliseconds{static_cast<std::int64_t>(x.seconds * 1000)};
  std::unique_ptr<market_data::feed> feed{new market_data::simulated_market{settings}};
  auto publisher = self->spawn(market_data::publisher, center, std::move(feed), pace);
  stop.then([publisher] { caf::anon_send(publisher, program::stop_atom_v); });
  std::optional<market_data::publish_report> result;
  self->request(publisher, caf::infinite, caf::get_atom_v)
      .receive([&](const market_data::publish_report& report) { result = report; },
               [](const caf::error& err) { say("demo", actors::text_of(err)); });
  stop.then({});
  return result;
}

std::uint64_t print_summary(caf::scoped_actor& self, const std::vector<caf::actor>& strategies,
                            const market_data::publish_report& published,
                            const actors::center_status& status) {
  print_line(fmt::format("\n{:<24} {:>10}", "published by the market", published.all.published));
  for (auto exchange : {"Orderbook", "Trade"})
    print_line(fmt::format("  {:<22} {:>10}", exchange, count_of(published, exchange)));
  print_line(
      fmt::format("  {:<22} {:>10}   for nobody here", "Kline", count_of(published, "Kline")));
  print_line(fmt::format("{:<24} {:>10}", "confirmed by the broker", published.all.confirmed));
  print_line(fmt::format("{:<24} {:>10}   books, trades, and candles of our own",
                         "received, decoded once", status.dispatcher.received));
  std::uint64_t received = 0;
  std::vector<std::string> lines;
  for (const auto& strategy : strategies)
    self->request(strategy, std::chrono::seconds{1}, caf::get_atom_v)
        .receive(
            [&](const demo::strategy_report& x) {
              received += x.received;
              lines.push_back(fmt::format("  {:<22} {:>10}", x.strategy, x.received));
              for (const auto& line : x.lines)
                lines.push_back("    " + line);
            },
            [](const caf::error& err) { say("demo", actors::text_of(err)); });
  print_line(fmt::format("{:<24} {:>10}", "handed to strategies", received));
  for (const auto& line : lines)
    print_line(line);
  return received;
}

/// Runs the market for the strategies and prints what came of it.
int trade(caf::scoped_actor& self, const actors::event_center& center,
          const std::vector<caf::actor>& strategies, const options& x, program::stop_signal& stop) {
  if (!await_status(self, center, stop, std::chrono::seconds{10}, all_consuming)) {
    if (stop.requested())
      return program::ok;
    say("demo", "the broker has not confirmed all subscriptions");
    return program::failed;
  }
  const auto published = run_market(self, center, x, stop);
  if (!published)
    return program::failed;
  // The last events may still be on their way back.
  const auto expected = count_of(*published, "Orderbook") + count_of(*published, "Trade");
  await_status(self, center, stop, std::chrono::seconds{1},
               [&](const auto& status) { return status.dispatcher.received >= expected; });
  const auto received = print_summary(self, strategies, *published, status_of(self, center));
  return received > 0 || stop.requested() ? program::ok : program::failed;
}

int run(const options& x, actors::config settings, program::stop_signal& stop) {
  const auto broker = to_string(settings.endpoints.front());
  actors::system_config system_settings;
  caf::actor_system system{system_settings};
  actors::scoped_event_center scoped{system, std::move(settings)};
  const actors::event_center& center = scoped;
  caf::scoped_actor self{system};
  print_line(fmt::format("A simulated market, three strategies, {} events/s for {} s, over {}\n",
                         x.rate, x.seconds, broker));
  for (auto role : {actors::link_role::publishing, actors::link_role::consuming})
    if (auto err = program::await_link("demo", self, center, role, x.broker.wait, stop)) {
      say("demo", actors::text_of(err));
      return stop.requested() ? program::ok : program::failed;
    }
  const std::vector<caf::actor> strategies{
      system.spawn(demo::spread_watcher, center, platform),
      system.spawn(demo::kline_builder, center, platform, candle_interval),
      system.spawn(demo::market_maker, center, platform),
  };
  const auto result = trade(self, center, strategies, x, stop);
  for (const auto& strategy : strategies)
    caf::anon_send_exit(strategy, caf::exit_reason::user_shutdown);
  return result;
}

} // namespace

int main(int argc, char** argv) {
  program::stop_signal stop;
  // Each line as it comes, into a pipe too.
  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);
  options x;
  CLI::App app{"A market, an event center and three strategies in one process.", "demo"};
  app.footer(examples);
  add_options(app, x);
  if (auto code = program::parse(app, argc, argv))
    return *code;
  auto settings = program::make_config(x.broker, "memory:");
  if (!settings) {
    say("demo", actors::text_of(settings.error()));
    return program::bad_usage;
  }
  return program::flush_out("demo", run(x, std::move(*settings), stop));
}
