#include "poison/cases.hpp"
#include "poison/limited_user.hpp"

// What a user with few rights may not do.

namespace actors::poison {

namespace {

subscription events(const std::string& exchange, const std::string& key = "#") {
  return subscription::to_events(exchange, key).multi(false);
}

event to_exchange(std::string exchange, std::string key) {
  event result;
  result.name = "EVENT_POISON";
  result.exchange = std::move(exchange);
  result.routing_key = std::move(key);
  result.data = json{boost::json::object{}};
  return result;
}

bad_case queue_that_may(const std::string& what, const std::string& word, bool is_there,
                        answer expected) {
  return {what,
          [=](attempt& x) {
            const auto queue = x.name(word);
            if (is_there)
              x.other().ask(amqp::declare_queue{{queue, true, false, false}});
            x.subscribe(events(x.tag() + "e").on_durable_queue(queue));
          },
          expected, need::few_rights};
}

bad_case exchange_that_may(const std::string& what, const std::string& word, answer expected) {
  return {what,
          [=](attempt& x) {
            x.subscribe(events(x.tag() + word));
            x.subscribe(events(x.tag() + word).on_quorum_queue(x.name("q")));
          },
          expected, need::few_rights};
}

bad_case publish_to_many(const std::string& what, std::size_t exchanges, std::size_t times) {
  return {what,
          [=](attempt& x) {
            for (std::size_t i = 0; i < exchanges; ++i)
              x.publish(to_exchange(x.tag() + no_write + std::to_string(i), "k"), {}, times);
          },
          answer::refused, need::few_rights};
}

void add_subscriptions(std::vector<bad_case>& to) {
  to.push_back(queue_that_may("subscribe on a queue that may not be made", no_configure, false,
                              answer::refused));
  to.push_back(queue_that_may("subscribe on a queue that is there and may not be made",
                              no_configure, true, answer::granted));
  to.push_back(
      queue_that_may("subscribe on a queue that may not be read", no_read, false, answer::refused));
  to.push_back(
      queue_that_may("subscribe on a queue that may not be bound", no_write, false, answer::any));
  to.push_back(exchange_that_may("subscribe to an exchange that may not be made", no_configure,
                                 answer::refused));
  to.push_back(
      exchange_that_may("subscribe to an exchange that may not be read", no_read, answer::any));
  to.push_back(
      {"200 subscriptions on queues that may not be read",
       [](attempt& x) {
         for (auto i = 0; i < 200; ++i)
           x.subscribe(
               events(x.tag() + "e").on_durable_queue(x.name(no_read + std::to_string(i % 20))));
       },
       answer::refused, need::few_rights});
  to.push_back({"subscribe by a routing key that is denied",
                [](attempt& x) {
                  x.subscribe(events(guarded_topics, std::string{no_topic} + '.' + x.tag()));
                },
                answer::refused, need::few_rights});
}

void add_publications(std::vector<bad_case>& to) {
  to.push_back(publish_to_many("publish to an exchange that may not be written to", 1, 500));
  to.push_back(publish_to_many("publish to 50 exchanges that may not be written to", 50, 5));
  to.push_back({"publish to an exchange that may not be made",
                [](attempt& x) {
                  x.publish(to_exchange(x.tag() + no_configure, "k"), {.persistent = true}, 20);
                },
                answer::refused, need::few_rights});
  to.push_back({"publish to an exchange that is there and may not be made",
                [](attempt& x) {
                  x.other().ask(amqp::declare_exchange{{x.tag() + no_configure}});
                  x.publish(to_exchange(x.tag() + no_configure, "k"), {}, 20);
                },
                answer::granted, need::few_rights});
  to.push_back({"publish with 20 routing keys that are denied",
                [](attempt& x) {
                  for (auto i = 0; i < 20; ++i)
                    x.publish(to_exchange(guarded_topics, std::string{no_topic} + '.' + x.tag()
                                                              + std::to_string(i)),
                              {}, 5);
                },
                answer::refused, need::few_rights});
  to.push_back({"publish with routing keys of which one is denied",
                [](attempt& x) {
                  for (auto& word : {no_topic, "others"})
                    x.publish(to_exchange(guarded_topics, std::string{word} + '.' + x.tag()), {},
                              50);
                },
                answer::any, need::few_rights});
}

} // namespace

std::vector<bad_case> denied() {
  std::vector<bad_case> result;
  add_subscriptions(result);
  add_publications(result);
  return result;
}

} // namespace actors::poison
