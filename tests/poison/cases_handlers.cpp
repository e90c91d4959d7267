#include "poison/cases.hpp"

#include <new>
#include <stdexcept>

#include <boost/json/value.hpp>

#include "actors/error.hpp"
#include "wire/payload.hpp"

// What users write: handlers and decoders that throw, hang and end.

namespace actors::poison {

using namespace std::chrono_literals;

namespace {

/// How a decoder goes wrong.
enum class wrong : std::uint8_t { exception, number, memory, error };

[[maybe_unused]] caf::error go_wrong(wrong how) {
  switch (how) {
  case wrong::exception:
    throw std::runtime_error("a decoder that throws");
  case wrong::number:
    throw 42;
  case wrong::memory:
    throw std::bad_alloc();
  case wrong::error:
    return make_error(ec::malformed_json, "a decoder that refuses");
  }
  return {};
}

/// An event whose decoder goes wrong, read from a JSON value.
template <wrong How>
struct bad_value {
  static constexpr std::string_view event_name = "EVENT_BAD";
  static constexpr std::string_view exchange = "Poison";

  friend boost::json::value to_json(const bad_value&) {
    return {{"bad", true}};
  }

  friend caf::error from_json(const boost::json::value&, bad_value&) {
    return go_wrong(How);
  }
};

/// The same, read from JSON text.
template <wrong How>
struct bad_text {
  static constexpr std::string_view event_name = "EVENT_BAD";
  static constexpr std::string_view exchange = "Poison";

  friend void append_json(std::string& out, const bad_text&) {
    out += "{}";
  }

  friend caf::error from_json(std::string_view, bad_text&, std::size_t) {
    return go_wrong(How);
  }
};

using taker = std::function<void(const caf::error&)>;

template <class T>
caf::behavior typed_strategy(caf::event_based_actor* self, const event_center& center,
                             const subscription& what, const taker& answered) {
  self->set_default_handler(caf::drop);
  center.subscribe(self, what)
      .then([=](const subscribed&) { answered({}); },
            [=](const caf::error& err) { answered(err); });
  return {[](const T&) {}};
}

/// Publishes as somebody else, so that nothing is wrong with that.
void publish(attempt& x, const std::string& exchange, const std::string& key,
             const std::string& name, std::size_t times) {
  amqp::publication sent;
  sent.exchange = exchange;
  sent.routing_key = key;
  sent.body = std::make_shared<const std::string>(payload_encoder{}.encode(name, "{}"));
  for (std::size_t i = 0; i < times; ++i)
    x.other().publish(sent);
}

/// Strategies with such a decoder, and events for them.
template <class T>
void decode(attempt& x) {
  const auto key = x.tag();
  for (auto& what : {subscription::to<T>(key),
                     subscription::to<T>(key).on_durable_queue(x.name("q")).dead_lettered()})
    x.keep(x.where().system().spawn(typed_strategy<T>, x.center(), what, taker{x.expect_answer()}));
  x.answers_within(10s);
  publish(x, std::string{T::exchange}, key, std::string{T::event_name}, 20);
}

template <wrong How>
void add_decoders(std::vector<bad_case>& to, const std::string& what) {
  to.push_back({"a decoder of values that " + what, decode<bad_value<How>>});
  to.push_back({"a decoder of texts that " + what, decode<bad_text<How>>});
}

/// One of each way to acknowledge.
std::vector<subscription> each_way(attempt& x, const std::string& exchange) {
  const auto any = subscription::to_events(exchange, "#").multi(false);
  const auto on_classic = [&](const std::string& queue) {
    return subscription{any}.on_durable_queue(x.name(queue));
  };
  const auto on_quorum = [&](const std::string& queue) {
    return subscription{any}.on_quorum_queue(x.name(queue));
  };
  return {any, on_classic("requeue").acked(ack_policy::on_success),
          on_quorum("quorum").acked(ack_policy::on_success), on_quorum("dead").dead_lettered(),
          on_classic("retried").retried({.delay = 50ms, .max_retries = 2})};
}

/// A strategy of each way to acknowledge, and events for them.
void handle(attempt& x, const handler& act) {
  const auto exchange = x.tag() + "-e";
  for (auto& what : each_way(x, exchange))
    x.subscribe(what, act);
  x.answers_within(10s);
  publish(x, exchange, "a.b", "EVENT_POISON", 20);
}

/// The same with strategies that block a thread of their own.
void block(attempt& x) {
  const auto exchange = x.tag() + "-e";
  for (auto& what : each_way(x, exchange))
    x.subscribe_apart(what, [end = x.end()](auto&&...) -> caf::result<void> {
      end.wait();
      return caf::unit;
    });
  x.answers_within(10s);
  publish(x, exchange, "a.b", "EVENT_POISON", 20);
}

void add_handlers(std::vector<bad_case>& to) {
  using self_pointer = caf::event_based_actor*;
  auto add = [&](const std::string& what, handler act) {
    to.push_back(
        {"a handler that " + what, [act = std::move(act)](attempt& x) { handle(x, act); }});
  };
  add("throws an exception", [](self_pointer, const event&) -> caf::result<void> {
    throw std::runtime_error("a handler that throws");
  });
  add("throws a number", [](self_pointer, const event&) -> caf::result<void> { throw 42; });
  add("always fails", [](self_pointer, const event&) -> caf::result<void> {
    return make_error(ec::handler_failed, "it always does");
  });
  add("never answers", [](self_pointer self, const event&) -> caf::result<void> {
    return self->make_response_promise<void>();
  });
  add("ends its strategy", [](self_pointer self, const event&) -> caf::result<void> {
    self->quit();
    return caf::unit;
  });
  add("ends its strategy with an error", [](self_pointer self, const event&) -> caf::result<void> {
    self->quit(make_error(ec::handler_failed, "it is over"));
    return caf::unit;
  });
  add("kills its strategy", [](self_pointer self, const event&) -> caf::result<void> {
    self->send_exit(self, caf::exit_reason::kill);
    return caf::unit;
  });
  add("becomes something else", [](self_pointer self, const event&) -> caf::result<void> {
    self->become([](int) {});
    return caf::unit;
  });
  add("skips what it gets",
      [](self_pointer, const event&) -> caf::result<void> { return caf::skip; });
  to.push_back({"a handler that hangs", block});
  to.push_back({"more handlers that hang than there are workers", [](attempt& x) {
                  handle(x, [end = x.end()](auto&&...) -> caf::result<void> {
                    end.wait();
                    return caf::unit;
                  });
                }});
  to.push_back({"a handler that needs a tenth of a second each", [](attempt& x) {
                  handle(x, [end = x.end()](auto&&...) -> caf::result<void> {
                    end.wait_for(100ms);
                    return caf::unit;
                  });
                }});
}

/// Strategies that ask for the states of links, and answer them by `handler`.
template <class Handler>
void watch_links(attempt& x, Handler handler) {
  for (auto i = 0; i < 10; ++i)
    x.keep(x.where().system().spawn(
        [center = x.center(), handler](caf::event_based_actor* self) -> caf::behavior {
          center.on_link(self);
          return {handler};
        }));
}

void add_watchers(std::vector<bad_case>& to) {
  to.push_back({"watchers of links without a handler for it",
                [](attempt& x) { watch_links(x, [](const trade&) {}); }});
  to.push_back({"watchers of links that answer with an error", [](attempt& x) {
                  watch_links(x, [](const link_status&) {
                    return make_error(ec::handler_failed, "a watcher that refuses");
                  });
                }});
  to.push_back({"watchers of links that answer with a value",
                [](attempt& x) { watch_links(x, [](const link_status&) { return 42; }); }});
  to.push_back({"watchers of links that throw", [](attempt& x) {
                  watch_links(x, [](const link_status&) {
                    throw std::runtime_error("a watcher that throws");
                  });
                }});
}

void add_lives(std::vector<bad_case>& to) {
  to.push_back(
      {"a strategy that throws as it starts", [](attempt& x) {
         for (auto i = 0; i < 5; ++i)
           x.keep(x.where().system().spawn([=, center = x.center(), tag = x.tag()](
                                               caf::event_based_actor* self) -> caf::behavior {
             center.subscribe(self, subscription::to_events(tag + "-e", "#"));
             throw std::runtime_error("a strategy that throws");
           }));
       }});
  to.push_back({"a strategy that ends as it subscribes, 200 times", [](attempt& x) {
                  for (auto i = 0; i < 200; ++i)
                    x.keep(x.where().system().spawn(
                        [center = x.center(), tag = x.tag()](caf::event_based_actor* self) {
                          center.subscribe(self, subscription::to_events(tag + "-e", "#"));
                          self->quit();
                        }));
                }});
  to.push_back({"one that subscribes and leaves, 200 times", [](attempt& x) {
                  x.keep(x.where().system().spawn([center = x.center(),
                                                   tag = x.tag()](caf::event_based_actor* self) {
                    for (auto i = 0; i < 200; ++i)
                      center.subscribe(self, subscription::to_events(tag + "-e", std::to_string(i)))
                          .then([=](const subscribed& y) { center.unsubscribe(self, y.id); });
                    return caf::behavior{[](int) {}};
                  }));
                }});
  to.push_back(
      {"one that leaves what it never had", [](attempt& x) {
         x.keep(x.where().system().spawn([center = x.center()](caf::event_based_actor* self) {
           for (subscription_id i = 0; i < 1'000; ++i)
             center.unsubscribe(self, 1'000'000 + i).then([] {}, [](const caf::error&) {});
           return caf::behavior{[](int) {}};
         }));
       }});
}

} // namespace

std::vector<bad_case> bad_handlers() {
  std::vector<bad_case> result;
  add_decoders<wrong::exception>(result, "throws an exception");
  add_decoders<wrong::number>(result, "throws a number");
  add_decoders<wrong::memory>(result, "has no memory");
  add_decoders<wrong::error>(result, "refuses");
  add_handlers(result);
  add_watchers(result);
  add_lives(result);
  return result;
}

} // namespace actors::poison
