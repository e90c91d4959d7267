#include "topology/topology_state.hpp"

#include <algorithm>
#include <utility>

#include "actors/config.hpp"
#include "amqp/channel_division.hpp"
#include "amqp/wire_rules.hpp"

namespace actors {

namespace {

bool is_predeclared(std::string_view exchange) noexcept {
  return exchange.empty() || exchange.starts_with("amq.");
}

bool is_stream(const amqp::queue& x) noexcept {
  return std::find(x.arguments.begin(), x.arguments.end(),
                   std::pair<std::string, amqp::field_value>{"x-queue-type", std::string{"stream"}})
         != x.arguments.end();
}

/// What to do where an exchange may not be declared, by what came of looking for it.
std::string_view rights_text(ec look) noexcept {
  switch (look) {
  case ec::access_refused:
    return "; grant configure, or, if the exchange is there already, read to subscribe or write to "
           "publish";
  case ec::not_found:
    return "; the exchange is not there: grant configure, or have somebody else declare it";
  default:
    return {};
  }
}

} // namespace

// -- what is wanted ---------------------------------------------------------------

void topology_state::want(amqp::exchange what) {
  if (find_exchange(what.name))
    return;
  auto& x = exchanges_.emplace_back();
  x.spec = std::move(what);
  exchanges_by_name_.emplace(x.spec.name, std::prev(exchanges_.end()));
  remember(about_exchange{x.spec.name});
  if (link(way::usual).up)
    declare(x);
}

void topology_state::want(wanted_consumer what) {
  want(exchange_named(what.binding.exchange, what.durable_exchange));
  auto& x = consumers_[what.consumer.id];
  const auto is_new = x.bindings.empty();
  if (is_new) {
    x.consumer = what.consumer;
    x.queue = what.queue;
  }
  add_companion_queues(x, std::move(what.companion_queues));
  // Where to go on reading a stream changes with what was read.
  x.consumer.arguments = std::move(what.consumer.arguments);
  if (what.goes_on && x.stage == consumer_stage::refused)
    return;
  auto known = std::find_if(x.bindings.begin(), x.bindings.end(),
                            [&](const binding_entry& y) { return y.spec == what.binding; });
  if (known == x.bindings.end())
    known = x.bindings.insert(x.bindings.end(), {std::move(what.binding)});
  else if (x.stage == consumer_stage::running && known->stands())
    return tell(x, *known);
  else if (known->stage == binding_stage::refused && known->trust != standing::culprit)
    known->stage = binding_stage::wanted;
  if (!is_new && x.stage == consumer_stage::refused && x.trust == standing::culprit)
    return refuse(x, *known, x.reason); // it has its own time
  remember(x, *known, is_new);
  if (x.stage == consumer_stage::refused && x.trust != standing::culprit)
    reset(x);
  if (x.stage == consumer_stage::waiting)
    advance(x);
  else
    bind(x);
}

void topology_state::unwant(amqp::consumer_id id, const amqp::binding& what) {
  auto x = find_consumer(id);
  if (!x)
    return;
  auto i = std::find_if(x->bindings.begin(), x->bindings.end(),
                        [&](const binding_entry& y) { return y.spec == what; });
  if (i == x->bindings.end())
    return;
  if (x->bindings.size() == 1)
    return unwant(id);
  if (i->stage == binding_stage::asked || i->stage == binding_stage::bound) {
    auto gone = what;
    gone.queue = x->queue_name;
    ask(amqp::unbind_queue{std::move(gone)}, way_of(x->trust));
  }
  x->bindings.erase(i);
  continue_binding(*x);
}

void topology_state::unwant(amqp::consumer_id id) {
  auto x = find_consumer(id);
  if (!x)
    return;
  switch (x->stage) {
  case consumer_stage::running:
    ask(amqp::cancel_consumer{id}, about_cancel{id, x->queue_name});
    erase(id);
    break;
  case consumer_stage::waiting:
  case consumer_stage::refused:
    tell_retired(id, x->queue.name);
    erase(id);
    break;
  default:
    // A queue deletes itself only after it had a consumer: finish the chain,
    // then cancel.
    x->unwanted = true;
    continue_binding(*x);
  }
}

void topology_state::erase(amqp::consumer_id id) {
  auto i = consumers_.find(id);
  groups(i->second).forget(id);
  places_.forget(id);
  consumers_.erase(i);
}

// -- what happens -------------------------------------------------------------------

void topology_state::up(const amqp::broker_limits& limits, way by) {
  link(by).up = true;
  link(by).groups.limit_channels(limits.channels);
  if (by == way::apart)
    return; // `begin_trials` goes on
  limits_ = limits;
  places_.limit(amqp::consumers_of_connection(limits));
  for (auto& x : exchanges_)
    if (x.trust != standing::culprit)
      declare(x);
  advance_waiting();
}

topology_state::end topology_state::down(const failure& reason, way by) {
  auto& gone = link(by);
  gone.up = false;
  gone.under_way = 0;
  std::erase_if(asked_, [&](auto& x) {
    auto* about = std::get_if<about_cancel>(&x.second.about);
    if (about && x.second.by == by)
      tell_retired(about->id, about->queue);
    return x.second.by == by;
  });
  for (auto* xs : {&requests_, &held_})
    std::erase_if(*xs, [by](const request& x) { return x.by == by; });
  end result{reset_consumers(by)};
  by == way::usual ? reset_exchanges() : reset_apart();
  gone.groups.clear();
  result.is_explained = judge_end(by, reason);
  gone.now.reset();
  release_held();
  return result;
}

std::vector<amqp::consumer_id> topology_state::reset_consumers(way by) {
  std::vector<amqp::consumer_id> result;
  for (auto i = consumers_.begin(); i != consumers_.end();) {
    auto& [id, x] = *i++;
    if (way_of(x.trust) != by)
      continue;
    result.push_back(id);
    if (x.unwanted) {
      tell_retired(id, x.queue.name);
      erase(id);
    } else if (x.stage != consumer_stage::refused || by == way::usual) {
      reset(x);
    }
  }
  return result;
}

void topology_state::reset_exchanges() {
  for (auto& x : exchanges_) {
    count(x, false);
    if (x.trust == standing::culprit)
      continue;
    x.stage = entity_stage::wanted;
    x.reason = {};
  }
}

void topology_state::replied(const amqp::reply& x) {
  auto i = asked_.find(x.id);
  if (i == asked_.end())
    return;
  --link(i->second.by).under_way;
  auto about = std::move(i->second.about);
  asked_.erase(i);
  std::visit([&](const auto& y) { on_reply(y, x); }, about);
}

void topology_state::cancelled(amqp::consumer_id id) {
  auto x = find_consumer(id);
  if (!x || x->stage != consumer_stage::running)
    return;
  say(true, "queue " + amqp::quoted(x->queue_name)
                + ": the broker cancelled our consumer (queue deleted?)");
  news_.push_back({id,
                   x->queue_name,
                   std::nullopt,
                   {ec::consumer_cancelled, "queue " + amqp::quoted(x->queue_name) + " is gone"}});
  groups(*x).left(id);
  x->cancelled = true;
  reset(*x);
  advance(*x);
}

void topology_state::channel_lost(const amqp::closed_channel& what) {
  auto by = way::usual;
  for (auto id : what.consumers) {
    auto x = find_consumer(id);
    if (!x)
      continue;
    by = way_of(x->trust);
    if (x->stage == consumer_stage::starting && asked_.erase(x->request) > 0)
      --link(by).under_way;
  }
  const auto culprit = link(by).groups.fell(what.consumers, now_);
  for (auto id : what.consumers) {
    auto x = find_consumer(id);
    if (!x || (x->stage != consumer_stage::starting && x->stage != consumer_stage::running))
      continue;
    const auto restarts = x->restarts;
    if (id != culprit) {
      reset(*x);
      x->restarts = restarts;
    } else if (what.reason.code == ec::not_found && may_restart(*x)) {
      restart(*x, what.reason);
    } else if (by == way::usual && link(by).groups.is_crowded()) {
      convict(about_consumer{id}, what.reason);
    } else {
      refuse(*x, named(*x, what.reason));
    }
  }
  advance_waiting();
}

// The broker names the queue in most of its reasons.
failure topology_state::named(const consumer_entry& x, const failure& reason) {
  const auto name = amqp::quoted(x.queue_name.empty() ? x.queue.name : x.queue_name);
  if (reason.text.find(name) != std::string::npos)
    return reason;
  return {reason.code, "queue " + name + ": " + reason.text};
}

// The culprits have their own time, see `begin_trials`.
void topology_state::retry() {
  if (!link(way::usual).up)
    return;
  for (auto& x : exchanges_)
    if (x.stage == entity_stage::refused && x.trust != standing::culprit)
      declare(x);
  for (auto& [id, x] : consumers_) {
    if (x.trust == standing::culprit)
      continue;
    for (auto& y : x.companion_queues)
      if (y.stage == entity_stage::refused && y.trust != standing::culprit)
        declare(x, y);
    if (x.stage == consumer_stage::refused && !places_.waits(id))
      reset(x);
    x.restarts = 0;
    for (auto& y : x.bindings)
      if (y.stage == binding_stage::refused && y.trust != standing::culprit)
        y.stage = binding_stage::wanted;
    bind(x);
  }
  advance_waiting();
}

void topology_state::redeclare_exchanges() {
  if (!link(way::usual).up)
    return;
  for (auto& [id, x] : consumers_)
    for (auto& y : x.bindings)
      if (y.stage == binding_stage::bound)
        y.stage = binding_stage::wanted; // until its exchange is there
  for (auto& x : exchanges_)
    if (x.stage == entity_stage::ready && x.trust != standing::culprit)
      declare(x);
}

void topology_state::queue_missing(std::string_view name) {
  for (auto& [id, x] : consumers_)
    for (auto& y : x.companion_queues)
      if (y.spec.name == name
          && (y.stage == entity_stage::ready || y.stage == entity_stage::checking))
        declare(x, y);
}

void topology_state::verify() {
  for (auto& [id, x] : consumers_) {
    if (x.stage != consumer_stage::running)
      continue;
    for (auto& y : x.bindings)
      if (y.stage == binding_stage::bound && y.trust == standing::trusted)
        y.stage = binding_stage::wanted;
    bind(x);
    for (auto& y : x.companion_queues) {
      if (y.stage != entity_stage::ready || y.trust == standing::culprit)
        continue;
      y.stage = entity_stage::checking;
      ask(amqp::declare_queue{y.spec, true}, about_beside{id, y.spec.name});
    }
    auto queue = x.queue;
    queue.name = x.queue_name;
    ask(amqp::declare_queue{std::move(queue), true}, about_verify{id});
  }
}

bool topology_state::suspects() const noexcept {
  return std::any_of(consumers_.begin(), consumers_.end(),
                     [](auto& x) { return x.second.missing; });
}

void topology_state::on_reply(const about_verify& about, const amqp::reply& reply) {
  auto x = find_consumer(about.id);
  if (!x || x->stage != consumer_stage::running)
    return;
  // Who reads a stream is not counted.
  const auto gone = reply.error ? reply.error.code == ec::not_found
                                : reply.consumers == 0 && !is_stream(x->queue);
  if (!std::exchange(x->missing, gone) || !gone)
    return;
  const auto text = "queue " + amqp::quoted(x->queue_name)
                    + ": the broker has lost our consumer without a word, it is started again";
  say(true, text);
  news_.push_back({about.id, x->queue_name, std::nullopt, {ec::consumer_wedged, text}});
  ask(amqp::cancel_consumer{about.id}, way_of(x->trust));
  groups(*x).left(about.id);
  reset(*x);
  advance(*x);
}

// -- exchanges ----------------------------------------------------------------------

void topology_state::declare(exchange_entry& x) {
  x.stage = x.spec.name.empty() ? entity_stage::ready : entity_stage::wanted;
  if (x.spec.name.empty())
    return;
  count(x, x.trust != standing::culprit);
  if (!may_ask(x.trust, about_exchange{x.spec.name}))
    return;
  x.reason = {};
  const auto passive = is_predeclared(x.spec.name);
  x.stage = passive ? entity_stage::checking : entity_stage::declaring;
  ask(amqp::declare_exchange{x.spec, passive}, about_exchange{x.spec.name});
}

void topology_state::count(exchange_entry& x, bool undecided) noexcept {
  if (x.undecided != undecided)
    undecided ? ++undecided_ : --undecided_;
  x.undecided = undecided;
}

void topology_state::on_reply(const about_exchange& about, const amqp::reply& reply) {
  auto x = find_exchange(about.name);
  if (!x || (x->stage != entity_stage::declaring && x->stage != entity_stage::checking))
    return;
  // RabbitMQ 4.3 refuses the look as well, and for a right that whoever may look does not need.
  if (x->stage == entity_stage::checking && x->reason.code == ec::access_refused)
    x->reason.text += rights_text(reply.error.code);
  const auto stage = judge(x->stage, x->reason, "exchange " + amqp::quoted(about.name), reply);
  if (stage != entity_stage::checking)
    return decide(*x, stage);
  x->stage = stage;
  ask(amqp::declare_exchange{x->spec, true}, about);
}

// What a reply to a declaration means. An entity that cannot be declared our way
// may be there another way.
topology_state::entity_stage topology_state::judge(entity_stage stage, failure& reason,
                                                   const std::string& name,
                                                   const amqp::reply& reply) {
  if (!reply.error) {
    if (stage == entity_stage::checking && reason)
      say(true, name + found_text(reason));
    reason = {};
    return entity_stage::ready;
  }
  if (stage == entity_stage::declaring && may_exist(reply.error.code)) {
    reason = reply.error;
    return entity_stage::checking;
  }
  if (!reason)
    reason = reply.error;
  say(true, name + " refused: " + reason.text);
  return entity_stage::refused;
}

void topology_state::decide(exchange_entry& x, entity_stage stage) {
  x.stage = stage;
  count(x, false);
  for (auto& [id, y] : consumers_)
    bind(y);
  advance_waiting();
}

// -- what follows -----------------------------------------------------------------------

std::vector<topology_state::request> topology_state::take_requests() {
  start_waiting();
  end_trials();
  begin_trials();
  return std::exchange(requests_, {});
}

std::vector<consumer_state> topology_state::take_news() {
  return std::exchange(news_, {});
}

std::vector<topology_state::note> topology_state::take_notes() {
  return std::exchange(notes_, {});
}

bool topology_state::may_exist(ec code) noexcept {
  return code == ec::precondition_failed || code == ec::access_refused;
}

std::string topology_state::found_text(const failure& reason) {
  const auto* what = reason.code == ec::access_refused
                         ? " exists and is used as it is, as we may not declare it: "
                         : " exists with other settings, used as it is: ";
  return what + reason.text;
}

amqp::request_id topology_state::ask(amqp::operation what, subject about) {
  const auto by = way_of(about);
  auto& tried = link(by).now;
  const auto held = tried && !tried->released && !belongs(about, tried->of);
  link(by).under_way += held ? 0 : 1;
  asked_.emplace(++last_request_, open_request{std::move(about), by});
  (held ? held_ : requests_).push_back({last_request_, std::move(what), by});
  return last_request_;
}

// Nothing follows from its answer.
void topology_state::ask(amqp::operation what, way by) {
  if (!link(by).up)
    return;
  auto& tried = link(by).now;
  const auto held = tried && !tried->released;
  (held ? held_ : requests_).push_back({++last_request_, std::move(what), by});
}

void topology_state::tell(const consumer_entry& x, const binding_entry& about, failure error) {
  news_.push_back({x.consumer.id, x.queue_name, about.spec, std::move(error)});
  news_.back().assumed = about.stage == binding_stage::assumed;
}

void topology_state::say(bool warning, std::string text) {
  notes_.push_back({warning, std::move(text)});
}

// -- inspection ---------------------------------------------------------------------------

bool topology_state::is_settled(std::string_view exchange) const {
  auto x = find_exchange(exchange);
  return !x || !x->undecided;
}

bool topology_state::knows_exchange(std::string_view name) const {
  return find_exchange(name) != nullptr;
}

failure topology_state::exchange_failure(std::string_view name) const {
  auto x = find_exchange(name);
  if (!x || !is_unusable(*x))
    return {};
  return x->reason ? x->reason
                   : failure{ec::not_allowed, "exchange " + amqp::quoted(name) + " is tried apart"};
}

bool topology_state::is_unusable(const exchange_entry& x) noexcept {
  return x.stage == entity_stage::refused
         || (x.trust == standing::culprit && x.stage != entity_stage::ready);
}

std::vector<std::string> topology_state::refused() const {
  std::vector<std::string> result;
  for (auto& x : exchanges_)
    if (x.stage == entity_stage::refused && x.trust != standing::culprit)
      result.push_back("exchange " + amqp::quoted(x.spec.name) + ": " + x.reason.text);
  for (auto& [id, x] : consumers_) {
    if (x.trust == standing::culprit)
      continue;
    for (auto& y : x.companion_queues)
      if (y.stage == entity_stage::refused && y.trust != standing::culprit)
        result.push_back("queue " + amqp::quoted(y.spec.name) + ": " + y.reason.text);
    if (x.stage == consumer_stage::refused)
      result.push_back(named(x, x.reason).text);
    else
      for (auto& y : x.bindings)
        if (y.stage == binding_stage::refused && y.trust != standing::culprit)
          result.push_back("queue " + amqp::quoted(x.queue_name) + ", exchange "
                           + amqp::quoted(y.spec.exchange) + ", routing key "
                           + amqp::quoted(y.spec.routing_key) + ": " + y.reason.text);
  }
  return result;
}

std::size_t topology_state::running() const noexcept {
  return static_cast<std::size_t>(
      std::count_if(consumers_.begin(), consumers_.end(),
                    [](const auto& kvp) { return kvp.second.stage == consumer_stage::running; }));
}

topology_state::exchange_entry* topology_state::find_exchange(std::string_view name) {
  auto i = exchanges_by_name_.find(name);
  return i == exchanges_by_name_.end() ? nullptr : &*i->second;
}

const topology_state::exchange_entry* topology_state::find_exchange(std::string_view name) const {
  return const_cast<topology_state*>(this)->find_exchange(name);
}

topology_state::consumer_entry* topology_state::find_consumer(amqp::consumer_id id) {
  auto i = consumers_.find(id);
  return i == consumers_.end() ? nullptr : &i->second;
}

const topology_state::consumer_entry* topology_state::find_consumer(amqp::consumer_id id) const {
  return const_cast<topology_state*>(this)->find_consumer(id);
}

} // namespace actors
