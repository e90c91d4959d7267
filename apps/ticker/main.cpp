#include <string>
#include <vector>

#include <caf/actor_system.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>

#include "actors/error.hpp"
#include "actors/event_center.hpp"
#include "actors/system_config.hpp"
#include "program/await_link.hpp"
#include "program/command_line.hpp"
#include "program/standard_output.hpp"
#include "program/stop_atom.hpp"
#include "program/stop_signal.hpp"
#include "ticker/json_lines.hpp"
#include "ticker/subscriptions.hpp"
#include "ticker/table_view.hpp"

namespace {

using program::say;

struct options {
  program::broker_options broker;
  std::vector<std::string> keys{"Orderbook:#", "Trade:#", "Kline:#"};
  std::uint64_t count = 0;
  bool json = false;
  bool no_ack = false;
};

const char* const examples = R"(Examples:
  ticker                                        every symbol of the broker on localhost
  ticker --broker amqp://user:password@host 'Orderbook:binance.#' 'Trade:binance.BTC/USDT'
  ticker --config config.json                   as AIOQuant's config file says
  ticker --center relay-1:5670 --center relay-2:5670 --tls-cacertfile ca.pem \
         --tls-certfile host.pem                by a relay on another host, or the next one
  ticker --json --count 1000 'Kline:#'          JSON lines for scripts, then exit

A line of --json is {"exchange": ..., "routing_key": ..., "name": ..., "data": ...}, data
being the text of the event's data as it came. `market --file` reads such lines.
"ticker: subscribed to ..." on standard error says that from now on nothing is missed.

Exit codes: 0 ended as asked; 1 something failed; 2 bad command line or config.)";

void add_options(CLI::App& app, options& x) {
  program::add_broker_options(app, x.broker);
  program::add_center_options(app, x.broker);
  app.add_option("KEY", x.keys,
                 "What to follow, as Exchange:routing.key; * is one word, # any number")
      ->capture_default_str();
  auto* json = app.add_flag("--json", x.json, "Print each event as one line of JSON");
  app.add_option("--count", x.count, "Stop after so many events")
      ->check(program::positive_number())
      ->needs(json);
  app.add_flag("--no-ack", x.no_ack,
               "Receive without acknowledging: faster, but events in flight may be lost");
}

caf::expected<std::vector<actors::subscription>> parse_keys(const options& x) {
  std::vector<actors::subscription> result;
  for (const auto& key : x.keys) {
    auto what = ticker::parse_key(key, !x.json);
    if (!what)
      return std::move(what.error());
    result.push_back(x.no_ack ? what->prefetch(1).multi() : std::move(*what));
  }
  return result;
}

/// Writes what the view sends until it ends. Gives back why it ended.
caf::error show(caf::scoped_actor& self, const caf::actor& view, program::stop_signal& stop) {
  self->monitor(view);
  stop.then([view] { caf::anon_send(view, program::stop_atom_v); });
  caf::error result;
  bool writable = true;
  bool ended = false;
  self->receive_while([&] { return !ended; })(
      [&](const std::string& text) {
        if (!writable)
          return;
        const auto problem = program::write_out(text, stop);
        if (!problem)
          return;
        if (program::is_failure(problem))
          result = actors::make_error(actors::ec::invalid_argument,
                                      "standard output: " + problem.message());
        writable = false;
        caf::anon_send(view, program::stop_atom_v);
      },
      [&](const caf::down_msg& x) {
        ended = true;
        if (!result)
          result = x.reason;
      });
  stop.then({});
  return result;
}

int run(const options& x, actors::config settings, std::vector<actors::subscription> wanted,
        program::stop_signal& stop) {
  actors::system_config system_settings;
  caf::actor_system system{system_settings};
  actors::scoped_event_center center{system, std::move(settings)};
  caf::scoped_actor self{system};
  if (auto err = program::await_link("ticker", self, center, actors::link_role::consuming,
                                     x.broker.wait, stop)) {
    say("ticker", actors::text_of(err));
    return stop.requested() ? program::ok : program::failed;
  }
  const actors::event_center& handle = center;
  const auto screen = caf::actor_cast<caf::actor>(self);
  auto view = x.json ? system.spawn(ticker::json_lines, handle, std::move(wanted), x.count, screen)
                     : system.spawn(ticker::table_view, handle, std::move(wanted),
                                    program::output_is_terminal(), screen);
  if (auto err = show(self, view, stop)) {
    say("ticker", actors::text_of(err));
    return program::failed;
  }
  return program::ok;
}

} // namespace

int main(int argc, char** argv) {
  program::stop_signal stop;
  options x;
  CLI::App app{"Shows market events: a live table of prices, or JSON lines for scripts.", "ticker"};
  app.footer(examples);
  add_options(app, x);
  if (auto code = program::parse(app, argc, argv))
    return *code;
  auto settings = program::make_config(x.broker);
  if (!settings) {
    say("ticker", actors::text_of(settings.error()));
    return program::bad_usage;
  }
  auto wanted = parse_keys(x);
  if (!wanted) {
    say("ticker", actors::text_of(wanted.error()));
    return program::bad_usage;
  }
  return run(x, std::move(*settings), std::move(*wanted), stop);
}
