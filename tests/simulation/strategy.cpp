#include "simulation/strategy.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>

#include "actors/error.hpp"

namespace actors::simulation {

namespace {

/// More than there are publishers.
constexpr std::int64_t publishers = 10;

struct strategy_state {
  /// Answers that it has put off.
  std::vector<std::pair<caf::response_promise, trade>> open;

  static inline const char* name = "strategy";
};

caf::result<void> react(caf::stateful_actor<strategy_state>* self, journal& seen, const trade& x) {
  if (seen.happens(seen.crashes)) {
    self->quit(make_error(ec::handler_failed, "crashed"));
    return make_error(ec::handler_failed, "crashed");
  }
  if (seen.happens(seen.fails))
    return make_error(ec::handler_failed, "not now");
  if (seen.happens(seen.hesitates)) {
    self->state.open.emplace_back(self->make_response_promise(), x);
    return caf::delegated<void>{};
  }
  seen.handle(x);
  return caf::unit;
}

caf::behavior strategy(caf::stateful_actor<strategy_state>* self, event_center center,
                       const subscription& what, std::shared_ptr<journal> seen) {
  seen->begin_life();
  // As a user's: without its subscription it ends, and is started again.
  center.subscribe(self, what)
      .then([](const subscribed&) {}, [=](caf::error& err) { self->quit(std::move(err)); });
  return {
      [=](const trade& x) { return react(self, *seen, x); },
      [=](flush_atom) {
        for (auto& [promise, x] : std::exchange(self->state.open, {})) {
          seen->handle(x);
          if (promise.pending())
            promise.deliver(caf::unit);
        }
      },
  };
}

caf::behavior publisher(caf::event_based_actor* self, event_center center,
                        std::shared_ptr<sent> log) {
  // One asks for its queues, the other trusts in them.
  const publish_options options{.mandatory = log->publisher == 0, .persistent = true};
  auto publish_trade = [=](const std::string& symbol, const publish_options& how) {
    const number next{log->publisher, ++log->last[symbol]};
    ++log->open;
    center.publish(self, numbered_trade(symbol, next), how)
        .then(
            [=](const published&) {
              --log->open;
              log->confirmed[symbol].insert(next);
            },
            [=](const caf::error& err) {
              --log->open;
              // Its queues are always there.
              if (code_of(err) == ec::no_route)
                log->blamed.push_back(symbol + ' ' + to_string(next) + ": " + text_of(err));
            });
  };
  auto publish_in_vain = [=](const event& x, publish_options options) {
    ++log->open;
    center.publish(self, x, std::move(options))
        .then(
            [=](const published&) {
              --log->open;
              ++log->confirmed_into_the_void;
            },
            [=](const caf::error&) { --log->open; });
  };
  return {
      [=](publish_atom, const std::string& symbol) { publish_trade(symbol, options); },
      [=](publish_atom, const std::string& symbol, const std::string& id) {
        event nobodys;
        nobodys.name = "EVENT_NOBODYS";
        nobodys.exchange = "Nowhere";
        nobodys.routing_key = "a.b";
        // First, so that it comes back while the other is on its way.
        publish_in_vain(nobodys, {.mandatory = true, .message_id = id});
        auto same_id = options;
        same_id.message_id = id;
        publish_trade(symbol, same_id);
      },
      [=](publish_atom, const event& x) {
        ++log->open;
        center.publish(self, x).then([=](const published&) { --log->open; },
                                     [=](const caf::error&) { --log->open; });
      },
  };
}

} // namespace

// -- numbered trades -----------------------------------------------------------------------

trade numbered_trade(const std::string& symbol, number x) {
  trade result;
  result.platform = "sim";
  result.symbol = symbol;
  result.timestamp = x.sequence * publishers + x.publisher;
  return result;
}

number number_of(const trade& x) {
  return {x.timestamp % publishers, x.timestamp / publishers};
}

std::string to_string(number x) {
  return std::to_string(x.publisher) + ':' + std::to_string(x.sequence);
}

// -- the journal -----------------------------------------------------------------------------

void journal::begin_life() {
  life_ = {};
}

void journal::handle(const trade& x) {
  const auto what = number_of(x);
  handled[x.symbol].push_back(what);
  const auto text = x.symbol + ' ' + to_string(what);
  if (!life_.seen.emplace(x.symbol, what).second)
    return twice.push_back(text);
  if (overtaken_in(life_, x.symbol, what))
    reordered.push_back(text + " after a later one");
  if (lives_.seen.emplace(x.symbol, what).second && overtaken_in(lives_, x.symbol, what))
    overtaken.push_back(text + " for the first time after a later one");
}

bool journal::overtaken_in(record& x, const std::string& symbol, number what) {
  auto& highest = x.highest[{symbol, what.publisher}];
  const auto result = what.sequence < highest;
  highest = std::max(highest, what.sequence);
  return result;
}

bool journal::happens(unsigned percent) {
  return random() % 100 < percent;
}

// -- actors ------------------------------------------------------------------------------------

caf::actor spawn_strategy(caf::actor_system& system, event_center center, subscription what,
                          std::shared_ptr<journal> seen) {
  return system.spawn(strategy, std::move(center), std::move(what), std::move(seen));
}

caf::actor spawn_publisher(caf::actor_system& system, event_center center,
                           std::shared_ptr<sent> log) {
  return system.spawn(publisher, std::move(center), std::move(log));
}

} // namespace actors::simulation
