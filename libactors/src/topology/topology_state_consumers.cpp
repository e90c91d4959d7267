#include <algorithm>
#include <utility>

#include "actors/subscription.hpp"
#include "amqp/channel_division.hpp"
#include "amqp/wire_rules.hpp"
#include "topology/delivery_limit.hpp"
#include "topology/topology_state.hpp"

// A consumer's way through the topology state: its queues, its bindings, its start.

namespace actors {

namespace {

/// How often a consumer whose queue or exchange vanished under it is started
/// anew before it counts as refused.
constexpr std::uint32_t max_restarts = 3;

/// How long a queue that stands in for a transient one waits for a consumer that never
/// comes.
constexpr std::int64_t abandoned_after_ms = 60'000;

bool is_replicated(const amqp::queue& x) noexcept {
  return std::any_of(x.arguments.begin(), x.arguments.end(), [](auto& y) {
    auto* type = std::get_if<std::string>(&y.second);
    return y.first == "x-queue-type" && type && (*type == "quorum" || *type == "stream");
  });
}

} // namespace

void topology_state::advance_waiting() {
  for (auto i = consumers_.begin(); i != consumers_.end();) {
    auto& x = (i++)->second; // it may be removed
    if (x.stage == consumer_stage::waiting)
      advance(x);
  }
}

void topology_state::advance(consumer_entry& x) {
  if (!may_ask(x.trust, about_consumer{x.consumer.id}) || awaits_exchange(x))
    return;
  auto usable = false;
  for (auto& y : x.bindings) {
    auto reason = exchange_failure(y.spec.exchange);
    if (y.trust == standing::culprit || !reason)
      usable = true;
    else
      refuse(x, y, std::move(reason));
  }
  if (!usable)
    return refuse(x, x.bindings.front().reason);
  if (take_place(x))
    declare(x);
}

// A queue is not even declared for whoever finds none: nobody would take from it. The link apart
// has few consumers, and refuses by itself.
bool topology_state::take_place(consumer_entry& x) {
  if (way_of(x.trust) == way::apart || places_.take(x.consumer.id))
    return true;
  if (!may_get_place())
    refuse_for_place(x);
  return false;
}

// Whoever has a place and does not run yet may be refused.
bool topology_state::may_get_place() const {
  return std::any_of(consumers_.begin(), consumers_.end(), [this](auto& x) {
    return x.second.stage != consumer_stage::running && places_.holds(x.first);
  });
}

void topology_state::refuse_for_place(consumer_entry& x) {
  refuse(x,
         {ec::not_allowed, "queue " + amqp::quoted(x.queue.name) + ": " + no_room_text(limits_)});
}

bool topology_state::awaits_exchange(const consumer_entry& x) const {
  return std::any_of(x.bindings.begin(), x.bindings.end(), [&](const binding_entry& y) {
    auto exchange = find_exchange(y.spec.exchange);
    return exchange && exchange->stage != entity_stage::ready && !is_unusable(*exchange);
  });
}

void topology_state::declare(consumer_entry& x) {
  declare_beside(x);
  x.stage = consumer_stage::declaring;
  ask(amqp::declare_queue{permitted(x.queue)}, about_consumer{x.consumer.id});
}

// A broker may deny queues that are neither durable nor exclusive. One that is durable
// and ends with its last consumer is as good; an exclusive one would be locked to us as
// long as the broker takes our former connection for alive.
amqp::queue topology_state::permitted(amqp::queue x) const {
  if (limits_.transient_queues || x.durable || x.exclusive)
    return x;
  x.durable = true;
  const auto expires = std::any_of(x.arguments.begin(), x.arguments.end(),
                                   [](auto& y) { return y.first == "x-expires"; });
  if (!expires) // it may never have a consumer
    x.arguments.emplace_back("x-expires", abandoned_after_ms);
  return x;
}

// Ahead of the consumer's own queue, so that they are there when it needs them.
void topology_state::declare_beside(consumer_entry& x) {
  for (auto& y : x.companion_queues)
    if (y.trust != standing::culprit)
      declare(x, y);
}

// More may be needed later.
void topology_state::add_companion_queues(consumer_entry& x, std::vector<amqp::queue> queues) {
  for (auto& queue : queues) {
    if (find_beside(x, queue.name))
      continue;
    auto& added = x.companion_queues.emplace_back(entity<amqp::queue>{std::move(queue)});
    remember(about_beside{x.consumer.id, added.spec.name});
    if (x.stage != consumer_stage::waiting)
      declare(x, added);
  }
}

void topology_state::declare(const consumer_entry& of, entity<amqp::queue>& x) {
  about_beside about{of.consumer.id, x.spec.name};
  x.stage = entity_stage::wanted;
  if (!may_ask(x.trust, about))
    return;
  x.reason = {};
  x.stage = entity_stage::declaring;
  ask(amqp::declare_queue{permitted(x.spec)}, std::move(about));
}

// A missing one stops nobody: what cannot be sent there goes back to its queue.
void topology_state::on_reply(const about_beside& about, const amqp::reply& reply) {
  auto x = find_consumer(about.id);
  if (!x)
    return;
  for (auto& y : x->companion_queues) {
    if (y.spec.name != about.name)
      continue;
    if (y.stage == entity_stage::checking && !y.reason && reply.error.code == ec::not_found) {
      declare(*x, y); // it was there before
      continue;
    }
    y.stage = judge(y.stage, y.reason, "queue " + amqp::quoted(about.name), reply);
    if (y.stage == entity_stage::checking)
      ask(amqp::declare_queue{y.spec, true}, about);
  }
}

void topology_state::on_reply(const about_consumer& about, const amqp::reply& reply) {
  auto x = find_consumer(about.id);
  if (!x)
    return;
  if (x->stage == consumer_stage::declaring || x->stage == consumer_stage::checking)
    on_declared(*x, reply);
  else if (x->stage == consumer_stage::starting)
    on_started(*x, reply);
}

void topology_state::on_declared(consumer_entry& x, const amqp::reply& reply) {
  if (!reply.error) {
    if (x.stage == consumer_stage::checking) {
      const auto warning = warning_about(x.queue);
      say(true, "queue " + amqp::quoted(x.queue.name) + found_text(x.reason)
                    + (warning.empty() ? "" : "; ") + std::string{warning});
    }
    x.found = x.stage == consumer_stage::checking;
    x.reason = {};
    x.queue_name = reply.queue;
    x.is_empty = reply.messages == 0;
    x.stage = consumer_stage::binding;
    bind(x);
    return;
  }
  if (x.stage == consumer_stage::declaring && may_exist(reply.error.code)
      && !x.queue.name.empty()) {
    x.stage = consumer_stage::checking;
    x.reason = reply.error;
    ask(amqp::declare_queue{x.queue, true}, about_consumer{x.consumer.id});
    return;
  }
  refuse(x, x.reason ? x.reason : reply.error);
}

// Asks for what is not bound yet, unless it must wait for its queue or exchange.
void topology_state::bind(consumer_entry& x) {
  if (x.unwanted || !has_queue(x))
    return continue_binding(x);
  for (auto& y : x.bindings)
    if (y.stage == binding_stage::wanted)
      bind(x, y);
  continue_binding(x);
}

void topology_state::bind(consumer_entry& x, binding_entry& about) {
  auto& exchange = *find_exchange(about.spec.exchange);
  if (is_unusable(exchange))
    return refuse(x, about, exchange_failure(about.spec.exchange));
  about_binding subject{x.consumer.id, about.spec};
  if (exchange.stage != entity_stage::ready || !may_ask(about.trust, subject))
    return;
  auto what = about.spec;
  what.queue = x.queue_name;
  about.stage = binding_stage::asked;
  about.request = ask(amqp::bind_queue{std::move(what)}, std::move(subject));
}

bool topology_state::has_queue(const consumer_entry& x) noexcept {
  return x.stage == consumer_stage::binding || x.stage == consumer_stage::starting
         || x.stage == consumer_stage::running;
}

void topology_state::on_reply(const about_binding& about, const amqp::reply& reply) {
  auto x = find_consumer(about.id);
  if (!x)
    return;
  auto i = std::find_if(x->bindings.begin(), x->bindings.end(), [&](const binding_entry& y) {
    return y.stage == binding_stage::asked && y.request == reply.id;
  });
  if (i == x->bindings.end())
    return;
  if (!reply.error) {
    i->stage = binding_stage::bound;
    if (i->trust == standing::suspected)
      i->trust = standing::trusted;
    if (x->stage == consumer_stage::running)
      tell(*x, *i);
  } else if (reply.error.code == ec::access_refused && (x->found || x->queue.durable)) {
    assume(*x, *i, reply.error);
  } else if (reply.error.code == ec::not_found && may_restart(*x)) {
    return join_again(*x, *i, reply.error);
  } else {
    say(true, reply.error.text);
    refuse(*x, *i, reply.error);
  }
  continue_binding(*x);
}

// Who may only read gets what somebody else has bound.
void topology_state::assume(consumer_entry& x, binding_entry& about, const failure& reason) {
  say(true,
      "queue " + amqp::quoted(x.queue_name) + ", exchange " + amqp::quoted(about.spec.exchange)
          + ", routing key " + amqp::quoted(about.spec.routing_key)
          + ": we may not bind it, so what arrives is what was bound already: " + reason.text);
  about.stage = binding_stage::assumed;
  if (x.stage == consumer_stage::running)
    tell(x, about);
}

// Something it joins is gone, though it was there a moment ago.
void topology_state::join_again(consumer_entry& x, binding_entry& about, const failure& reason) {
  auto& exchange = *find_exchange(about.spec.exchange);
  if (exchange.stage == entity_stage::ready)
    declare(exchange);
  if (x.stage == consumer_stage::binding) {
    restart(x, reason);
    return advance(x);
  }
  // Its start has been asked for and must not be asked for twice.
  ++x.restarts;
  about.stage = binding_stage::wanted;
  bind(x);
}

void topology_state::continue_binding(consumer_entry& x) {
  if (x.stage != consumer_stage::binding)
    return;
  if (x.unwanted)
    return start(x);
  auto stands = false;
  auto waits = false;
  for (auto& y : x.bindings) {
    if (y.stage == binding_stage::asked
        || (y.stage == binding_stage::wanted && y.trust == standing::trusted))
      return;
    // The others do not wait for what is asked for alone, or apart.
    waits = waits || y.stage == binding_stage::wanted;
    stands = stands || y.stands() || y.trust == standing::culprit;
  }
  if (stands)
    start(x);
  else if (!waits)
    refuse(x, x.bindings.front().reason);
}

void topology_state::start(consumer_entry& x) {
  if (!may_ask(x.trust, about_consumer{x.consumer.id}) || !groups(x).may_start(x.consumer.id))
    return;
  x.stage = consumer_stage::starting;
  if (std::exchange(x.cancelled, false) && x.is_empty)
    begin_new_stream(x);
  auto consumer = x.consumer;
  consumer.queue = x.queue_name;
  consumer.group = groups(x).join(consumer.id, now_, is_replicated(x.queue));
  x.request = ask(amqp::start_consumer{std::move(consumer)}, about_consumer{x.consumer.id});
}

// What was read is never empty, so it was deleted; and the broker would pass over what comes,
// until there is as much again.
void topology_state::begin_new_stream(consumer_entry& x) {
  auto& arguments = x.consumer.arguments;
  if (!arguments.empty())
    if (auto offset = std::get_if<std::int64_t>(&arguments.front().second); offset && *offset > 0)
      x.abandoned_offset = *offset;
  if (!x.abandoned_offset)
    return;
  say(true, "queue " + amqp::quoted(x.queue_name) + ": the stream that was read up to "
                + std::to_string(*x.abandoned_offset)
                + " is gone, another one is read from its beginning");
  arguments = {{"x-stream-offset", std::int64_t{0}}};
}

// Those that found no place, and those that are started one at a time.
void topology_state::start_waiting() {
  for (auto id : places_.take_granted())
    if (auto x = find_consumer(id)) {
      if (x->stage == consumer_stage::refused)
        reset(*x);
      if (x->stage == consumer_stage::waiting)
        advance(*x);
    }
  if (places_.any_waits() && !may_get_place())
    for (auto& [id, x] : consumers_)
      if (x.stage == consumer_stage::waiting && places_.waits(id))
        refuse_for_place(x);
  for (auto& each : links_)
    if (each.groups.is_crowded())
      for (auto& [id, x] : consumers_)
        continue_binding(x);
}

void topology_state::on_started(consumer_entry& x, const amqp::reply& reply) {
  if (reply.error) {
    if (reply.error.code != ec::not_found || !may_restart(x))
      return refuse(x, reply.error);
    restart(x, reply.error);
    return advance(x);
  }
  groups(x).started(x.consumer.id, now_);
  x.stage = consumer_stage::running;
  x.restarts = 0;
  if (x.unwanted)
    return unwant(x.consumer.id);
  for (auto& y : x.bindings) {
    if (!y.stands())
      continue;
    tell(x, y);
    news_.back().abandoned_offset = std::exchange(x.abandoned_offset, {});
  }
}

void topology_state::refuse(consumer_entry& x, failure reason) {
  if (x.unwanted) {
    tell_retired(x.consumer.id, x.queue.name);
    return erase(x.consumer.id);
  }
  groups(x).left(x.consumer.id);
  places_.leave(x.consumer.id);
  say(true, "queue " + amqp::quoted(x.queue.name) + " refused: " + reason.text);
  x.stage = consumer_stage::refused;
  x.reason = reason;
  news_.push_back({x.consumer.id, x.queue.name, std::nullopt, std::move(reason)});
}

// The broker may refuse to cancel what it has ended already: gone is gone.
void topology_state::on_reply(const about_cancel& about, const amqp::reply&) {
  tell_retired(about.id, about.queue);
}

void topology_state::tell_retired(amqp::consumer_id id, const std::string& queue) {
  news_.push_back(
      {id,
       queue,
       std::nullopt,
       {ec::consumer_cancelled, "queue " + amqp::quoted(queue) + ": consumer cancelled"},
       true});
}

void topology_state::refuse(consumer_entry& x, binding_entry& about, failure reason) {
  about.stage = binding_stage::refused;
  about.reason = reason;
  tell(x, about, std::move(reason));
}

void topology_state::reset(consumer_entry& x) {
  x.restarts = 0;
  x.missing = false;
  x.found = false;
  x.stage = consumer_stage::waiting;
  x.reason = {};
  for (auto& y : x.bindings)
    if (y.trust != standing::culprit)
      y.stage = binding_stage::wanted;
}

bool topology_state::may_restart(const consumer_entry& x) noexcept {
  return !x.unwanted && x.restarts < max_restarts;
}

void topology_state::restart(consumer_entry& x, const failure& reason) {
  say(true, "queue " + amqp::quoted(x.queue_name) + " is declared again: " + reason.text);
  const auto restarts = x.restarts + 1;
  groups(x).left(x.consumer.id);
  reset(x);
  x.restarts = restarts;
}

} // namespace actors
