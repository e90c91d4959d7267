#include "simulation/strategy.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>

#include "actors/error.hpp"
#include "center/messages.hpp"

namespace actors::simulation {

namespace {

struct strategy_state {
  /// Answers that it has put off.
  struct answer {
    caf::response_promise promise;
    std::string symbol;
    number what;
  };

  std::vector<answer> open;

  static inline const char* name = "strategy";
};

template <class T>
caf::result<void> react(caf::stateful_actor<strategy_state>* self, journal& seen, const T& x) {
  if (seen.happens(seen.crashes)) {
    self->quit(make_error(ec::handler_failed, "crashed"));
    return make_error(ec::handler_failed, "crashed");
  }
  if (seen.happens(seen.fails))
    return make_error(ec::handler_failed, "not now");
  if (seen.happens(seen.hesitates)) {
    self->state.open.push_back({self->make_response_promise(), x.symbol, number_of(x)});
    return caf::delegated<void>{};
  }
  seen.handle(x.symbol, number_of(x));
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
      [=](const kline& x) { return react(self, *seen, x); },
      [=](flush_atom) {
        for (auto& x : std::exchange(self->state.open, {})) {
          seen->handle(x.symbol, x.what);
          if (x.promise.pending())
            x.promise.deliver(caf::unit);
        }
      },
  };
}

void note_answer(sent& log, const std::string& symbol, number what, bool mandatory,
                 const caf::error& err) {
  --log.open;
  if (!err)
    log.confirmed[symbol].insert(what);
  else if (code_of(err) == ec::kept_unsent)
    log.kept[symbol].insert(what);
  else if (code_of(err) == ec::no_route)
    log.undelivered[symbol].insert(what);
  // The queues of trades are always there; for that of candles the persistent ones wait that
  // are not mandatory, all of them once it has taken one from this process.
  const auto waits = !mandatory && log.kept.empty() && log.confirmed.contains(candles);
  if (code_of(err) == ec::no_route && (symbol != candles || waits))
    log.blamed.push_back(symbol + ' ' + to_string(what) + ": " + text_of(err));
}

template <class T>
void publish_next(caf::event_based_actor* self, const event_center& center,
                  const std::shared_ptr<sent>& log, const std::string& symbol,
                  publish_options how) {
  const number next{log->publisher, ++log->last[symbol]};
  ++log->open;
  const auto mandatory = how.mandatory;
  center.publish(self, numbered_event<T>(symbol, next), std::move(how))
      .then([=](const published&) { note_answer(*log, symbol, next, mandatory, {}); },
            [=](const caf::error& err) { note_answer(*log, symbol, next, mandatory, err); });
}

caf::behavior publisher(caf::event_based_actor* self, event_center center,
                        std::shared_ptr<sent> log) {
  auto publish_one = [=](const std::string& symbol, publish_options how) {
    if (symbol == candles)
      publish_next<kline>(self, center, log, symbol, std::move(how));
    else
      publish_next<trade>(self, center, log, symbol, std::move(how));
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
      [=](publish_atom, const std::string& symbol, bool mandatory) {
        publish_one(symbol, {.mandatory = mandatory, .persistent = true});
      },
      [=](publish_atom, const std::string& symbol, bool mandatory, const std::string& id) {
        event nobodys;
        nobodys.name = "EVENT_NOBODYS";
        nobodys.exchange = "Nowhere";
        nobodys.routing_key = "a.b";
        // First, so that it comes back while the other is on its way.
        publish_in_vain(nobodys, {.mandatory = true, .message_id = id});
        publish_one(symbol, {.mandatory = mandatory, .persistent = true, .message_id = id});
      },
      [=](publish_atom, const event& x) {
        ++log->open;
        center.publish(self, x).then([=](const published&) { --log->open; },
                                     [=](const caf::error&) { --log->open; });
      },
  };
}

} // namespace

// -- numbered events ------------------------------------------------------------------------

std::string to_string(number x) {
  return std::to_string(x.publisher) + ':' + std::to_string(x.sequence);
}

// -- the journal -----------------------------------------------------------------------------

void journal::begin_life() {
  life_ = {};
}

void journal::handle(const std::string& symbol, number what) {
  handled[symbol].push_back(what);
  const auto text = symbol + ' ' + to_string(what);
  if (!life_.seen.emplace(symbol, what).second)
    return twice.push_back(text);
  if (overtaken_in(life_, symbol, what))
    reordered.push_back(text + " after a later one");
  if (lives_.seen.emplace(symbol, what).second && overtaken_in(lives_, symbol, what))
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
