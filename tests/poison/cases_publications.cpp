#include "poison/cases.hpp"

// Publications that a broker refuses, by an answer or by closing a channel or the
// connection.

namespace actors::poison {

namespace {

event to_exchange(std::string exchange, std::string key,
                  boost::json::value data = boost::json::object{}) {
  event result;
  result.name = "EVENT_POISON";
  result.exchange = std::move(exchange);
  result.routing_key = std::move(key);
  result.data = json{std::move(data)};
  return result;
}

const std::vector<std::pair<std::string, std::string>> impossible_texts{
    {"in Latin-1", "caf\xe9"},
    {"with half a character", "euro\xe2\x82"},
    {"of 256 bytes", std::string(256, 'n')},
    {"of 70,000 bytes", std::string(70'000, 'n')},
    {"with a line break", "one\ntwo"},
    {"with a zero", std::string{"one\0two", 7}},
};

void publish_body(attempt& x, std::size_t size, std::size_t times = 1) {
  // What does not compress.
  boost::json::string data;
  std::uint64_t random = 1;
  while (data.size() < size) {
    random = random * 6'364'136'223'846'793'005U + 1'442'695'040'888'963'407U;
    data += static_cast<char>('A' + (random >> 59)); // 32 letters and signs
    data += static_cast<char>('A' + ((random >> 40) & 15));
  }
  x.publish(to_exchange(x.name("e"), "k", std::move(data)), {.mandatory = true}, times);
}

} // namespace

std::vector<bad_case> bad_publications() {
  std::vector<bad_case> result;
  for (auto& [what, text] : impossible_texts) {
    result.push_back(
        {"publish to an exchange's name " + what,
         [text = text](attempt& x) { x.publish(to_exchange(x.tag() + text, "k"), {}, 3); },
         answer::refused});
    result.push_back({"publish with a routing key " + what, [text = text](attempt& x) {
                        x.publish(to_exchange(x.name("e"), x.tag() + text), {}, 3);
                      }});
    result.push_back({"publish with a message id " + what, [text = text](attempt& x) {
                        x.publish(to_exchange(x.name("e"), "k"), {.message_id = x.tag() + text}, 3);
                      }});
  }
  result.push_back({"publish to a reserved exchange that is not there",
                    [](attempt& x) { x.publish(to_exchange("amq." + x.tag(), "k"), {}, 20); },
                    answer::refused});
  result.push_back({"publish to RabbitMQ's own log",
                    [](attempt& x) { x.publish(to_exchange("amq.rabbitmq.trace", x.tag())); }});
  result.push_back(
      {"publish 1,000 messages that no queue takes",
       [](attempt& x) { x.publish(to_exchange(x.name("e"), "k"), {.mandatory = true}, 1'000); },
       answer::refused});
  result.push_back({"publish to an exchange of another type", [](attempt& x) {
                      x.other().ask(amqp::declare_exchange{
                          {x.tag() + "e", amqp::exchange_type::headers, false, true}});
                      x.publish(to_exchange(x.tag() + "e", "k"), {}, 20);
                    }});
  result.push_back({"publish a body of 17 MB", [](attempt& x) { publish_body(x, 17'000'000); }});
  result.push_back(
      {"publish three bodies of 40 MB", [](attempt& x) { publish_body(x, 40'000'000, 3); }});
  result.push_back({"publish to 2,000 exchanges, once each", [](attempt& x) {
                      for (auto i = 0; i < 2'000; ++i)
                        x.publish(to_exchange(x.tag() + "e" + std::to_string(i), "k"));
                    }});
  result.push_back({"publish with 5,000 routing keys", [](attempt& x) {
                      for (auto i = 0; i < 5'000; ++i)
                        x.publish(to_exchange(x.tag() + "e", std::to_string(i)));
                    }});
  result.push_back({"publish to a queue that is full and refuses more", [](attempt& x) {
                      const auto exchange = x.tag() + "e";
                      const amqp::field_table full{{"x-max-length", std::int64_t{1}},
                                                   {"x-overflow", std::string{"reject-publish"}}};
                      x.other().ask(amqp::declare_exchange{{exchange}});
                      x.other().ask(amqp::declare_queue{{x.name("q"), true, false, false, full}});
                      x.other().ask(amqp::bind_queue{{exchange, x.name("q"), "#"}});
                      x.publish(to_exchange(exchange, "k"), {}, 500);
                    }});
  result.push_back({"publish what expires at once", [](attempt& x) {
                      x.publish(to_exchange(x.name("e"), "k"),
                                {.ttl = std::chrono::milliseconds{1}}, 500);
                    }});
  result.push_back({"publish two messages of one id, one of which comes back", [](attempt& x) {
                      x.subscribe(subscription::to_events(x.tag() + "e", "taken").multi(false));
                      const publish_options same{.mandatory = true, .message_id = x.tag()};
                      x.publish(to_exchange(x.tag() + "e", "taken"), same);
                      x.publish(to_exchange(x.tag() + "e", "not taken"), same);
                    }});
  return result;
}

} // namespace actors::poison
