// The bare loop: rabbitmq-c, zlib and Boost.JSON by hand, without an actor.

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "bare/commands.hpp"

int main(int argc, char** argv) {
  CLI::App app{"What a client costs that is one loop"};
  app.require_subcommand(1);
  bench::work x;
  auto add = [&](const char* name, const char* what, void (*run)(const bench::work&)) {
    auto command = app.add_subcommand(name, what);
    bench::add_options(*command, x);
    command->callback([&x, run] { run(x); });
  };
  add("declare", "Declare and bind a queue", bare::declare);
  add("drop", "Delete a queue", bare::drop);
  add("fill", "Fill a queue", bare::fill);
  add("texts", "Print events as JSON", bare::texts);
  add("receive", "Receive, decode, acknowledge", bare::receive);
  add("publish", "Encode and publish, many in one send", bare::publish);
  add("publish-singly", "Encode and publish by amqp_basic_publish", bare::publish_singly);
  add("confirms", "Encode and publish with confirms", bare::confirms);
  add("latency", "From publishing to receiving", bare::latency);
  add("subscriptions", "Declare, bind and consume many queues", bare::subscriptions);
  CLI11_PARSE(app, argc, argv);
}
