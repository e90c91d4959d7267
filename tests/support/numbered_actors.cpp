#include "support/numbered_actors.hpp"

#include <caf/result.hpp>

#include "actors/error.hpp"
#include "center/messages.hpp"

namespace actors::testing {

caf::behavior numbered_publisher(caf::stateful_actor<numbered_publisher_state>* self,
                                 event_center center, numbered_publisher_settings settings,
                                 std::shared_ptr<audit> books) {
  auto publish = [=](const std::string& key) {
    auto x = books->next(settings.name, key);
    event what;
    what.name = numbered::event_name;
    what.exchange = settings.exchange;
    what.routing_key = key;
    what.data = json{to_json(x)};
    center.publish(self, what, settings.options)
        .then([=](const published&) { books->confirmed(x); },
              [=](const caf::error& err) { books->refused(x, text_of(err)); });
  };
  return {
      [=](start_atom) {
        self->state.running = true;
        if (!std::exchange(self->state.ticking, true))
          self->send(self, flush_atom_v);
      },
      [=](stop_atom) { self->state.running = false; },
      [=](flush_atom) {
        self->state.ticking = self->state.running;
        if (!self->state.running)
          return;
        if (books->open(settings.name) < settings.max_open)
          for (auto& key : settings.keys)
            publish(key);
        self->delayed_send(self, settings.pace, flush_atom_v);
      },
  };
}

caf::behavior numbered_strategy(caf::event_based_actor* self, event_center center,
                                numbered_strategy_settings settings, std::shared_ptr<audit> books,
                                std::shared_ptr<mood> its_mood) {
  books->started(settings.name);
  center.subscribe(self, settings.what)
      .then([](const subscribed&) {}, [=](caf::error& err) { self->quit(std::move(err)); });
  return {
      [=](const numbered& x) -> caf::result<void> {
        if (its_mood->crashes.exchange(false)) {
          books->failed(settings.name, x);
          self->quit(make_error(ec::handler_failed, "crashed as asked"));
          return make_error(ec::handler_failed, "crashed as asked");
        }
        if (its_mood->fails && x.number % 2 == 0) {
          books->failed(settings.name, x);
          return make_error(ec::handler_failed, "failed as asked");
        }
        books->handled(settings.name, x);
        return caf::unit;
      },
  };
}

subscription every_numbered(const std::string& key, const std::string& queue) {
  return subscription::to<numbered>(key).on_durable_queue(queue).single_active_consumer().acked(
      ack_policy::on_success);
}

} // namespace actors::testing
