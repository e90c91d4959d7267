// The same work as the bare loop's, through libactors' event center.

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "center/commands.hpp"

using namespace with_actors;

int main(int argc, char** argv) {
  CLI::App app{"What a client costs that is made of actors"};
  app.require_subcommand(1);
  bench::work x;
  strategy_options how;
  auto add = [&](const char* name, const char* what,
                 void (*run)(const bench::work&, const strategy_options&)) {
    auto command = app.add_subcommand(name, what);
    bench::add_options(*command, x);
    command->add_option("--strategies", how.strategies, "How many receive each event");
    command->add_flag("--on-success", how.on_success, "The handler's return acknowledges");
    command->add_flag("--feed", how.feed, "From the queue that a subscription has by default");
    command->add_flag("!--without-confirms", how.confirms, "Publish without confirms");
    command->callback([&, run] { run(x, how); });
  };
  add("receive", "Receive, decode, acknowledge", receive);
  add("publish", "Encode and publish", publish);
  add("confirms", "Encode and publish, each with its answer", confirms);
  add("latency", "From publishing to receiving", latency);
  add("subscriptions", "Subscribe many times, then be idle", subscriptions);
  add("start", "From the start to the first event", start);
  add("in-process", "Through the in-process broker", in_process);
  CLI11_PARSE(app, argc, argv);
}
