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

/// Returns advice for an exchange that may not be declared, by the result of looking for it.
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

void topology_state::want(amqp::exchange spec) {
  if (find_exchange(spec.name))
    return;
  auto& exchange = exchanges_.emplace_back();
  exchange.spec = std::move(spec);
  exchanges_by_name_.emplace(exchange.spec.name, std::prev(exchanges_.end()));
  remember(about_exchange{exchange.spec.name});
  if (link(way::usual).up)
    declare(exchange);
}

void topology_state::want(wanted_consumer wanted) {
  want(exchange_named(wanted.binding.exchange, wanted.durable_exchange));
  auto& consumer = consumers_[wanted.consumer.id];
  const auto is_new = consumer.bindings.empty();
  if (is_new) {
    consumer.consumer = wanted.consumer;
    consumer.queue = wanted.queue;
  }
  add_companion_queues(consumer, std::move(wanted.companion_queues));
  // The offset at which to resume a stream changes with reading.
  consumer.consumer.arguments = std::move(wanted.consumer.arguments);
  if (wanted.goes_on && consumer.stage == consumer_stage::refused)
    return;
  auto known =
      std::find_if(consumer.bindings.begin(), consumer.bindings.end(),
                   [&](const binding_entry& binding) { return binding.spec == wanted.binding; });
  if (known == consumer.bindings.end())
    known = consumer.bindings.insert(consumer.bindings.end(), {std::move(wanted.binding)});
  else if (consumer.stage == consumer_stage::running && known->stands())
    return tell(consumer, *known);
  else if (known->stage == binding_stage::refused && known->trust != standing::culprit)
    known->stage = binding_stage::wanted;
  if (!is_new && consumer.stage == consumer_stage::refused && consumer.trust == standing::culprit)
    return refuse(consumer, *known, consumer.reason); // a culprit is retried at its own time
  remember(consumer, *known, is_new);
  if (consumer.stage == consumer_stage::refused && consumer.trust != standing::culprit)
    reset(consumer);
  if (consumer.stage == consumer_stage::waiting)
    advance(consumer);
  else
    bind(consumer);
}

void topology_state::unwant(amqp::consumer_id id, const amqp::binding& binding) {
  auto consumer = find_consumer(id);
  if (!consumer)
    return;
  auto i = std::find_if(consumer->bindings.begin(), consumer->bindings.end(),
                        [&](const binding_entry& known) { return known.spec == binding; });
  if (i == consumer->bindings.end())
    return;
  if (consumer->bindings.size() == 1)
    return unwant(id);
  if (i->stage == binding_stage::asked || i->stage == binding_stage::bound) {
    auto gone = binding;
    gone.queue = consumer->queue_name;
    ask(amqp::unbind_queue{std::move(gone)}, way_of(consumer->trust));
  }
  consumer->bindings.erase(i);
  continue_binding(*consumer);
}

void topology_state::unwant(amqp::consumer_id id) {
  auto consumer = find_consumer(id);
  if (!consumer)
    return;
  switch (consumer->stage) {
  case consumer_stage::running:
    ask(amqp::cancel_consumer{id}, about_cancel{id, consumer->queue_name});
    erase(id);
    break;
  case consumer_stage::waiting:
  case consumer_stage::refused:
    tell_retired(id, consumer->queue.name);
    erase(id);
    break;
  default:
    // A queue deletes itself only after it had a consumer: the chain is finished first, then the
    // consumer cancelled.
    consumer->unwanted = true;
    continue_binding(*consumer);
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
  for (auto& exchange : exchanges_)
    if (exchange.trust != standing::culprit)
      declare(exchange);
  advance_waiting();
}

topology_state::end topology_state::down(const failure& reason, way by) {
  auto& gone = link(by);
  gone.up = false;
  gone.under_way = 0;
  std::erase_if(asked_, [&](auto& entry) {
    auto* about = std::get_if<about_cancel>(&entry.second.about);
    if (about && entry.second.by == by)
      tell_retired(about->id, about->queue);
    return entry.second.by == by;
  });
  for (auto* list : {&requests_, &held_})
    std::erase_if(*list, [by](const request& queued) { return queued.by == by; });
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
    auto& [id, consumer] = *i++;
    if (way_of(consumer.trust) != by)
      continue;
    result.push_back(id);
    if (consumer.unwanted) {
      tell_retired(id, consumer.queue.name);
      erase(id);
    } else if (consumer.stage != consumer_stage::refused || by == way::usual) {
      reset(consumer);
    }
  }
  return result;
}

void topology_state::reset_exchanges() {
  for (auto& exchange : exchanges_) {
    count(exchange, false);
    if (exchange.trust == standing::culprit)
      continue;
    exchange.stage = entity_stage::wanted;
    exchange.reason = {};
  }
}

void topology_state::replied(const amqp::reply& reply) {
  auto i = asked_.find(reply.id);
  if (i == asked_.end())
    return;
  --link(i->second.by).under_way;
  auto about = std::move(i->second.about);
  asked_.erase(i);
  std::visit([&](const auto& target) { on_reply(target, reply); }, about);
}

void topology_state::cancelled(amqp::consumer_id id) {
  auto consumer = find_consumer(id);
  if (!consumer || consumer->stage != consumer_stage::running)
    return;
  say(true, "queue " + amqp::quoted(consumer->queue_name)
                + ": the broker cancelled our consumer (queue deleted?)");
  news_.push_back(
      {id,
       consumer->queue_name,
       std::nullopt,
       {ec::consumer_cancelled, "queue " + amqp::quoted(consumer->queue_name) + " is gone"}});
  groups(*consumer).left(id);
  consumer->cancelled = true;
  reset(*consumer);
  advance(*consumer);
}

void topology_state::channel_lost(const amqp::closed_channel& lost) {
  auto by = way::usual;
  for (auto id : lost.consumers) {
    auto consumer = find_consumer(id);
    if (!consumer)
      continue;
    by = way_of(consumer->trust);
    if (consumer->stage == consumer_stage::starting && asked_.erase(consumer->request) > 0)
      --link(by).under_way;
  }
  const auto culprit = link(by).groups.fell(lost.consumers, now_);
  for (auto id : lost.consumers) {
    auto consumer = find_consumer(id);
    if (!consumer
        || (consumer->stage != consumer_stage::starting
            && consumer->stage != consumer_stage::running))
      continue;
    const auto restarts = consumer->restarts;
    if (id != culprit) {
      reset(*consumer);
      consumer->restarts = restarts;
    } else if (lost.reason.code == ec::not_found && may_restart(*consumer)) {
      restart(*consumer, lost.reason);
    } else if (by == way::usual && link(by).groups.is_crowded()) {
      convict(about_consumer{id}, lost.reason);
    } else {
      refuse(*consumer, named(*consumer, lost.reason));
    }
  }
  advance_waiting();
}

// The broker names the queue in most of its reasons.
failure topology_state::named(const consumer_entry& consumer, const failure& reason) {
  const auto name =
      amqp::quoted(consumer.queue_name.empty() ? consumer.queue.name : consumer.queue_name);
  if (reason.text.find(name) != std::string::npos)
    return reason;
  return {reason.code, "queue " + name + ": " + reason.text};
}

// Culprits have their own time, see `begin_trials`.
void topology_state::retry() {
  if (!link(way::usual).up)
    return;
  for (auto& exchange : exchanges_)
    if (exchange.stage == entity_stage::refused && exchange.trust != standing::culprit)
      declare(exchange);
  for (auto& [id, consumer] : consumers_) {
    if (consumer.trust == standing::culprit)
      continue;
    for (auto& queue : consumer.companion_queues)
      if (queue.stage == entity_stage::refused && queue.trust != standing::culprit)
        declare(consumer, queue);
    if (consumer.stage == consumer_stage::refused && !places_.waits(id))
      reset(consumer);
    consumer.restarts = 0;
    for (auto& binding : consumer.bindings)
      if (binding.stage == binding_stage::refused && binding.trust != standing::culprit)
        binding.stage = binding_stage::wanted;
    bind(consumer);
  }
  advance_waiting();
}

void topology_state::redeclare_exchanges() {
  if (!link(way::usual).up)
    return;
  for (auto& [id, consumer] : consumers_)
    for (auto& binding : consumer.bindings)
      if (binding.stage == binding_stage::bound)
        binding.stage = binding_stage::wanted; // until its exchange is there
  for (auto& exchange : exchanges_)
    if (exchange.stage == entity_stage::ready && exchange.trust != standing::culprit)
      declare(exchange);
}

void topology_state::queue_missing(std::string_view name) {
  for (auto& [id, consumer] : consumers_)
    for (auto& queue : consumer.companion_queues)
      if (queue.spec.name == name
          && (queue.stage == entity_stage::ready || queue.stage == entity_stage::checking))
        declare(consumer, queue);
}

void topology_state::verify() {
  for (auto& [id, consumer] : consumers_) {
    if (consumer.stage != consumer_stage::running)
      continue;
    for (auto& binding : consumer.bindings)
      if (binding.stage == binding_stage::bound && binding.trust == standing::trusted)
        binding.stage = binding_stage::wanted;
    bind(consumer);
    for (auto& queue : consumer.companion_queues) {
      if (queue.stage != entity_stage::ready || queue.trust == standing::culprit)
        continue;
      queue.stage = entity_stage::checking;
      ask(amqp::declare_queue{queue.spec, true}, about_companion{id, queue.spec.name});
    }
    auto queue = consumer.queue;
    queue.name = consumer.queue_name;
    ask(amqp::declare_queue{std::move(queue), true}, about_verify{id});
  }
}

bool topology_state::suspects() const noexcept {
  return std::any_of(consumers_.begin(), consumers_.end(),
                     [](auto& x) { return x.second.missing; });
}

void topology_state::on_reply(const about_verify& about, const amqp::reply& reply) {
  auto consumer = find_consumer(about.id);
  if (!consumer || consumer->stage != consumer_stage::running)
    return;
  // Readers of a stream are not counted.
  const auto gone = reply.error ? reply.error.code == ec::not_found
                                : reply.consumers == 0 && !is_stream(consumer->queue);
  if (!std::exchange(consumer->missing, gone) || !gone)
    return;
  const auto text = "queue " + amqp::quoted(consumer->queue_name)
                    + ": the broker has lost our consumer without a word, it is started again";
  say(true, text);
  news_.push_back({about.id, consumer->queue_name, std::nullopt, {ec::consumer_wedged, text}});
  ask(amqp::cancel_consumer{about.id}, way_of(consumer->trust));
  groups(*consumer).left(about.id);
  reset(*consumer);
  advance(*consumer);
}

// -- exchanges ----------------------------------------------------------------------

void topology_state::declare(exchange_entry& exchange) {
  exchange.stage = exchange.spec.name.empty() ? entity_stage::ready : entity_stage::wanted;
  if (exchange.spec.name.empty())
    return;
  count(exchange, exchange.trust != standing::culprit);
  if (!may_ask(exchange.trust, about_exchange{exchange.spec.name}))
    return;
  exchange.reason = {};
  const auto passive = is_predeclared(exchange.spec.name);
  exchange.stage = passive ? entity_stage::checking : entity_stage::declaring;
  ask(amqp::declare_exchange{exchange.spec, passive}, about_exchange{exchange.spec.name});
}

void topology_state::count(exchange_entry& exchange, bool undecided) noexcept {
  if (exchange.undecided != undecided)
    undecided ? ++undecided_ : --undecided_;
  exchange.undecided = undecided;
}

void topology_state::on_reply(const about_exchange& about, const amqp::reply& reply) {
  auto exchange = find_exchange(about.name);
  if (!exchange
      || (exchange->stage != entity_stage::declaring && exchange->stage != entity_stage::checking))
    return;
  // RabbitMQ 4.3 refuses the passive declaration as well, for lack of a permission that a look does
  // not need.
  if (exchange->stage == entity_stage::checking && exchange->reason.code == ec::access_refused)
    exchange->reason.text += rights_text(reply.error.code);
  const auto stage =
      judge(exchange->stage, exchange->reason, "exchange " + amqp::quoted(about.name), reply);
  if (stage != entity_stage::checking)
    return decide(*exchange, stage);
  exchange->stage = stage;
  ask(amqp::declare_exchange{exchange->spec, true}, about);
}

// Judges the reply to a declaration. An entity that cannot be declared our way may exist another
// way.
topology_state::entity_stage topology_state::judge(entity_stage stage, failure& reason,
                                                   const std::string& name,
                                                   const amqp::reply& reply, bool says_refusal) {
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
  if (says_refusal)
    say(true, name + " refused: " + reason.text);
  return entity_stage::refused;
}

void topology_state::decide(exchange_entry& exchange, entity_stage stage) {
  exchange.stage = stage;
  count(exchange, false);
  for (auto& [id, consumer] : consumers_)
    bind(consumer);
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
  const auto* text = reason.code == ec::access_refused
                         ? " exists and is used as it is, as we may not declare it: "
                         : " exists with other settings, used as it is: ";
  const auto* direct = reason.text.find("current is 'direct'") != std::string::npos
                           ? "; a direct exchange knows no '*' and no '#': subscribe each key"
                           : "";
  return text + reason.text + direct;
}

amqp::request_id topology_state::ask(amqp::operation op, subject about) {
  const auto by = way_of(about);
  auto& tried = link(by).now;
  const auto held = tried && !tried->released && !belongs(about, tried->of);
  link(by).under_way += held ? 0 : 1;
  asked_.emplace(++last_request_, open_request{std::move(about), by});
  (held ? held_ : requests_).push_back({last_request_, std::move(op), by});
  return last_request_;
}

// The answer to such a request has no consequences.
void topology_state::ask(amqp::operation op, way by) {
  if (!link(by).up)
    return;
  auto& tried = link(by).now;
  const auto held = tried && !tried->released;
  (held ? held_ : requests_).push_back({++last_request_, std::move(op), by});
}

void topology_state::tell(const consumer_entry& consumer, const binding_entry& about,
                          failure error) {
  news_.push_back({consumer.consumer.id, consumer.queue_name, about.spec, std::move(error)});
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
  auto exchange = find_exchange(name);
  if (!exchange || !is_unusable(*exchange))
    return {};
  return exchange->reason
             ? exchange->reason
             : failure{ec::not_allowed, "exchange " + amqp::quoted(name) + " is tried apart"};
}

bool topology_state::is_unusable(const exchange_entry& exchange) noexcept {
  return exchange.stage == entity_stage::refused
         || (exchange.trust == standing::culprit && exchange.stage != entity_stage::ready);
}

std::vector<std::string> topology_state::refused() const {
  std::vector<std::string> result;
  for (auto& exchange : exchanges_)
    if (exchange.stage == entity_stage::refused && exchange.trust != standing::culprit)
      result.push_back("exchange " + amqp::quoted(exchange.spec.name) + ": "
                       + exchange.reason.text);
  for (auto& [id, consumer] : consumers_) {
    if (consumer.trust == standing::culprit)
      continue;
    for (auto& queue : consumer.companion_queues)
      if (queue.stage == entity_stage::refused && queue.trust != standing::culprit)
        result.push_back("queue " + amqp::quoted(queue.spec.name) + ": " + queue.reason.text);
    if (consumer.stage == consumer_stage::refused)
      result.push_back(named(consumer, consumer.reason).text);
    else
      for (auto& binding : consumer.bindings)
        if (binding.stage == binding_stage::refused && binding.trust != standing::culprit)
          result.push_back("queue " + amqp::quoted(consumer.queue_name) + ", exchange "
                           + amqp::quoted(binding.spec.exchange) + ", routing key "
                           + amqp::quoted(binding.spec.routing_key) + ": " + binding.reason.text);
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
