#include "poison/cases.hpp"

// Entities that a broker refuses, by an answer or by closing a channel or the connection.

namespace actors::poison {

using namespace std::chrono_literals;

namespace {

subscription events(const std::string& exchange, const std::string& key = "#") {
  return subscription::to_events(exchange, key).multi(false);
}

/// Names that AMQP cannot carry, or RabbitMQ does not have.
const std::vector<std::pair<std::string, std::string>> impossible_names{
    {"in Latin-1", "caf\xe9"},
    {"with half a character", "euro\xe2\x82"},
    {"of 256 bytes", std::string(256, 'n')},
    {"of 70,000 bytes", std::string(70'000, 'n')},
    {"with a line break", "one\ntwo"},
    {"with a zero", std::string{"one\0two", 7}},
};

void add_names(std::vector<bad_case>& to) {
  for (auto& [what, text] : impossible_names) {
    to.push_back({"subscribe to an exchange's name " + what,
                  [text = text](attempt& x) { x.subscribe(events(x.tag() + text)); },
                  answer::refused});
    to.push_back({"subscribe by a routing key " + what,
                  [text = text](attempt& x) { x.subscribe(events(x.name("e"), x.tag() + text)); }});
    to.push_back({"subscribe on a queue's name " + what,
                  [text = text](attempt& x) {
                    x.subscribe(events(x.name("e")).on_durable_queue(x.tag() + text));
                  },
                  answer::refused});
  }
  to.push_back(
      {"subscribe on a reserved queue",
       [](attempt& x) { x.subscribe(events(x.name("e")).on_durable_queue("amq." + x.tag())); },
       answer::refused});
  to.push_back({"subscribe to a reserved exchange",
                [](attempt& x) { x.subscribe(events("amq." + x.tag())); }, answer::refused});
  to.push_back({"subscribe to the default exchange",
                [](attempt& x) { x.subscribe(events("", x.tag())); }, answer::refused});
}

void add_streams(std::vector<bad_case>& to) {
  using offset = amqp::field_value;
  const std::vector<std::pair<std::string, offset>> offsets{
      {"yesterday", std::string{"yesterday"}},
      {"nothing", std::string{}},
      {"-1h", std::string{"-1h"}},
      {"1.5", 1.5},
      {"true", true},
      {"1 hour", std::string{"1 hour"}},
      {"an age of 30 digits", std::string(30, '9') + "h"},
      {"text in Latin-1", std::string{"\xe9"}},
  };
  for (auto& [what, value] : offsets)
    to.push_back({"a stream from " + what,
                  [value = value](attempt& x) {
                    x.subscribe(events(x.name("e")).on_stream(x.name("tape"), value));
                  },
                  answer::refused});
  to.push_back({"a stream from -1", [](attempt& x) {
                  x.subscribe(events(x.name("e")).on_stream(x.name("tape"), std::int64_t{-1}));
                }});
  to.push_back({"a stream without acknowledgements", [](attempt& x) {
                  x.subscribe(events(x.name("e")).on_stream(x.name("tape")).multi());
                }});
  to.push_back(
      {"a stream without a prefetch count",
       [](attempt& x) { x.subscribe(events(x.name("e")).on_stream(x.name("tape")).prefetch(0)); },
       answer::refused});
}

/// A queue that is there already, and otherwise.
void add_conflicts(std::vector<bad_case>& to) {
  using amqp::declare_queue;
  to.push_back({"a durable queue that is a transient one", [](attempt& x) {
                  x.other().ask(declare_queue{{x.name("q"), false, true, false}});
                  x.subscribe(events(x.name("e")).on_durable_queue(x.name("q")));
                }});
  to.push_back({"a quorum queue that is a classic one", [](attempt& x) {
                  x.other().ask(declare_queue{{x.name("q"), true, false, false}});
                  x.subscribe(events(x.name("e")).on_quorum_queue(x.name("q")));
                }});
  to.push_back({"a stream that is a classic queue", [](attempt& x) {
                  x.other().ask(declare_queue{{x.name("q"), true, false, false}});
                  x.subscribe(events(x.name("e")).on_stream(x.name("q")));
                }});
  to.push_back(
      {"a classic queue that is a stream", [](attempt& x) {
         x.other().ask(declare_queue{
             {x.name("q"), true, false, false, {{"x-queue-type", std::string{"stream"}}}}});
         x.subscribe(events(x.name("e")).on_durable_queue(x.name("q")));
       }});
  to.push_back({"a queue of other arguments", [](attempt& x) {
                  x.other().ask(declare_queue{
                      {x.name("q"), true, false, false, {{"x-max-length", std::int64_t{5}}}}});
                  x.subscribe(events(x.name("e")).on_durable_queue(x.name("q")).limited({}));
                }});
  to.push_back({"an exchange of another type", [](attempt& x) {
                  for (auto type : {amqp::exchange_type::headers, amqp::exchange_type::fanout}) {
                    const auto name = x.tag() + "e" + std::to_string(static_cast<int>(type));
                    x.other().ask(amqp::declare_exchange{{name, type, false, true}});
                    x.subscribe(events(name));
                    x.subscribe(events(name).on_durable_queue(x.name(name)));
                  }
                }});
  to.push_back({"a queue for one consumer that is one for all", [](attempt& x) {
                  x.other().ask(declare_queue{{x.name("q"), true, false, false}});
                  x.subscribe(
                      events(x.name("e")).on_durable_queue(x.name("q")).single_active_consumer());
                }});
  to.push_back(
      {"a queue that gives up after one delivery", [](attempt& x) {
         x.other().ask(declare_queue{
             {x.name("q"),
              true,
              false,
              false,
              {{"x-queue-type", std::string{"quorum"}}, {"x-delivery-limit", std::int64_t{1}}}}});
         x.subscribe(
             events(x.name("e")).on_quorum_queue(x.name("q")).acked(ack_policy::on_success));
       }});
  to.push_back({"a queue that another link has alone",
                [](attempt& x) {
                  x.other().ask(declare_queue{{x.name("q"), false, true, true}});
                  x.subscribe(events(x.name("e")).on_queue(x.name("q")));
                },
                answer::refused});
  to.push_back({"a queue with another's exclusive consumer",
                [](attempt& x) {
                  x.other().ask(declare_queue{{x.name("q"), true, false, false}});
                  x.other().ask(amqp::start_consumer{{1, x.name("q"), 1, false, true}});
                  x.subscribe(events(x.name("e")).on_durable_queue(x.name("q")));
                },
                answer::refused});
  to.push_back({"a queue that is deleted again and again", [](attempt& x) {
                  x.subscribe(events(x.name("e")).on_durable_queue(x.name("q")));
                  for (auto i = 0; i < 20; ++i)
                    x.other().ask(amqp::delete_queue{x.name("q")});
                }});
  to.push_back({"limits that no broker has",
                [](attempt& x) {
                  x.subscribe(events(x.name("e"))
                                  .on_durable_queue(x.name("q"))
                                  .limited({.message_ttl = 400'000'000'000ms}));
                },
                answer::refused});
  to.push_back({"300 subscriptions on queues that are locked", [](attempt& x) {
                  for (auto i = 0; i < 300; ++i) {
                    const auto queue = x.name("q" + std::to_string(i % 10));
                    if (i < 10)
                      x.other().ask(declare_queue{{queue, false, true, true}});
                    x.subscribe(events(x.tag() + "e" + std::to_string(i)).on_queue(queue));
                  }
                }});
  to.push_back({"300 good subscriptions at once", [](attempt& x) {
                  for (auto i = 0; i < 300; ++i)
                    x.subscribe(events(x.name("e"), std::to_string(i)));
                }});
}

} // namespace

std::vector<bad_case> bad_subscriptions() {
  std::vector<bad_case> result;
  add_names(result);
  add_streams(result);
  add_conflicts(result);
  return result;
}

} // namespace actors::poison
