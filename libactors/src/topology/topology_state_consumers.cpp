#include <algorithm>
#include <utility>

#include "actors/subscription.hpp"
#include "amqp/channel_division.hpp"
#include "amqp/wire_rules.hpp"
#include "topology/delivery_limit.hpp"
#include "topology/topology_state.hpp"

// This file has a consumer's way through the topology state: its queues, its bindings, its start.

namespace actors {

namespace {

/// A consumer whose queue or exchange vanished is restarted this many times before it is refused.
constexpr std::uint32_t max_restarts = 3;

/// A durable queue in place of a transient one waits for this time for a consumer that never comes.
constexpr std::int64_t abandoned_after_ms = 60'000;

bool is_replicated(const amqp::queue& queue) noexcept {
  return std::any_of(queue.arguments.begin(), queue.arguments.end(), [](auto& argument) {
    auto* type = std::get_if<std::string>(&argument.second);
    return argument.first == "x-queue-type" && type && (*type == "quorum" || *type == "stream");
  });
}

} // namespace

void topology_state::advance_waiting() {
  for (auto i = consumers_.begin(); i != consumers_.end();) {
    auto& consumer = (i++)->second; // the entry may be removed
    if (consumer.stage == consumer_stage::waiting)
      advance(consumer);
  }
}

void topology_state::advance(consumer_entry& consumer) {
  if (!may_ask(consumer.trust, about_consumer{consumer.consumer.id}) || awaits_exchange(consumer))
    return;
  auto usable = false;
  for (auto& binding : consumer.bindings) {
    auto reason = exchange_failure(binding.spec.exchange);
    if (binding.trust == standing::culprit || !reason)
      usable = true;
    else
      refuse(consumer, binding, std::move(reason));
  }
  if (!usable)
    return refuse(consumer, consumer.bindings.front().reason);
  if (take_place(consumer))
    declare(consumer);
}

// For a consumer without a place not even the queue is declared, as nobody would consume it. The
// link apart has few consumers, and refuses by itself.
bool topology_state::take_place(consumer_entry& consumer) {
  if (way_of(consumer.trust) == way::apart || places_.take(consumer.consumer.id))
    return true;
  if (!may_get_place())
    refuse_for_place(consumer);
  return false;
}

// A consumer that has a place and does not run yet may be refused, which frees its place.
bool topology_state::may_get_place() const {
  return std::any_of(consumers_.begin(), consumers_.end(), [this](auto& entry) {
    return entry.second.stage != consumer_stage::running && places_.holds(entry.first);
  });
}

void topology_state::refuse_for_place(consumer_entry& consumer) {
  refuse(consumer, {ec::not_allowed,
                    "queue " + amqp::quoted(consumer.queue.name) + ": " + no_room_text(limits_)});
}

bool topology_state::awaits_exchange(const consumer_entry& consumer) const {
  return std::any_of(
      consumer.bindings.begin(), consumer.bindings.end(), [&](const binding_entry& binding) {
        auto exchange = find_exchange(binding.spec.exchange);
        return exchange && exchange->stage != entity_stage::ready && !is_unusable(*exchange);
      });
}

void topology_state::declare(consumer_entry& consumer) {
  declare_companions(consumer);
  consumer.stage = consumer_stage::declaring;
  ask(amqp::declare_queue{permitted(consumer.queue)}, about_consumer{consumer.consumer.id});
}

// A broker may deny queues that are neither durable nor exclusive. A durable queue that ends with
// its last consumer is as good; an exclusive queue would be locked as long as the broker takes our
// former connection for alive.
amqp::queue topology_state::permitted(amqp::queue queue) const {
  if (limits_.transient_queues || queue.durable || queue.exclusive)
    return queue;
  queue.durable = true;
  const auto expires = std::any_of(queue.arguments.begin(), queue.arguments.end(),
                                   [](auto& argument) { return argument.first == "x-expires"; });
  if (!expires) // the queue may never have a consumer
    queue.arguments.emplace_back("x-expires", abandoned_after_ms);
  return queue;
}

// Companion queues are declared ahead of the consumer's own queue, so that they exist when it needs
// them.
void topology_state::declare_companions(consumer_entry& consumer) {
  for (auto& queue : consumer.companion_queues)
    if (queue.trust != standing::culprit)
      declare(consumer, queue);
}

// A later subscription may need more companion queues.
void topology_state::add_companion_queues(consumer_entry& consumer,
                                          std::vector<amqp::queue> queues) {
  for (auto& queue : queues) {
    if (find_companion(consumer, queue.name))
      continue;
    auto& added = consumer.companion_queues.emplace_back(entity<amqp::queue>{std::move(queue)});
    remember(about_companion{consumer.consumer.id, added.spec.name});
    if (consumer.stage != consumer_stage::waiting)
      declare(consumer, added);
  }
}

void topology_state::declare(const consumer_entry& of, entity<amqp::queue>& queue) {
  about_companion about{of.consumer.id, queue.spec.name};
  queue.stage = entity_stage::wanted;
  if (!may_ask(queue.trust, about))
    return;
  queue.reason = {};
  queue.stage = entity_stage::declaring;
  ask(amqp::declare_queue{permitted(queue.spec)}, std::move(about));
}

// A missing companion queue stops no consumer: a message that cannot be sent there goes back to its
// queue.
void topology_state::on_reply(const about_companion& about, const amqp::reply& reply) {
  auto* consumer = find_consumer(about.id);
  if (!consumer)
    return;
  auto& queues = consumer->companion_queues;
  // Where one is refused the others are as well, most often: a line says it for all.
  const auto is_first = std::none_of(queues.begin(), queues.end(), [](auto& queue) {
    return queue.stage == entity_stage::refused;
  });
  for (auto& queue : queues) {
    if (queue.spec.name != about.name)
      continue;
    if (queue.stage == entity_stage::checking && !queue.reason
        && reply.error.code == ec::not_found) {
      declare(*consumer, queue); // it was there before
      continue;
    }
    queue.stage =
        judge(queue.stage, queue.reason, "queue " + amqp::quoted(about.name), reply, is_first);
    if (queue.stage == entity_stage::checking)
      ask(amqp::declare_queue{queue.spec, true}, about);
  }
}

void topology_state::on_reply(const about_consumer& about, const amqp::reply& reply) {
  auto consumer = find_consumer(about.id);
  if (!consumer)
    return;
  if (consumer->stage == consumer_stage::declaring || consumer->stage == consumer_stage::checking)
    on_declared(*consumer, reply);
  else if (consumer->stage == consumer_stage::starting)
    on_started(*consumer, reply);
}

void topology_state::on_declared(consumer_entry& consumer, const amqp::reply& reply) {
  if (!reply.error) {
    if (consumer.stage == consumer_stage::checking) {
      const auto warning = warning_about(consumer.queue);
      say(true, "queue " + amqp::quoted(consumer.queue.name) + found_text(consumer.reason)
                    + (warning.empty() ? "" : "; ") + std::string{warning});
    }
    consumer.found = consumer.stage == consumer_stage::checking;
    consumer.reason = {};
    consumer.queue_name = reply.queue;
    consumer.is_empty = reply.messages == 0;
    consumer.stage = consumer_stage::binding;
    bind(consumer);
    return;
  }
  if (consumer.stage == consumer_stage::declaring && may_exist(reply.error.code)
      && !consumer.queue.name.empty()) {
    consumer.stage = consumer_stage::checking;
    consumer.reason = reply.error;
    ask(amqp::declare_queue{consumer.queue, true}, about_consumer{consumer.consumer.id});
    return;
  }
  refuse(consumer, consumer.reason ? consumer.reason : reply.error);
}

// Asks for the wanted bindings, unless they must wait for queue or exchange.
void topology_state::bind(consumer_entry& consumer) {
  if (consumer.unwanted || !has_queue(consumer))
    return continue_binding(consumer);
  for (auto& binding : consumer.bindings)
    if (binding.stage == binding_stage::wanted)
      bind(consumer, binding);
  continue_binding(consumer);
}

void topology_state::bind(consumer_entry& consumer, binding_entry& about) {
  auto& exchange = *find_exchange(about.spec.exchange);
  if (is_unusable(exchange))
    return refuse(consumer, about, exchange_failure(about.spec.exchange));
  about_binding subject{consumer.consumer.id, about.spec};
  if (exchange.stage != entity_stage::ready || !may_ask(about.trust, subject))
    return;
  auto spec = about.spec;
  spec.queue = consumer.queue_name;
  about.stage = binding_stage::asked;
  about.request = ask(amqp::bind_queue{std::move(spec)}, std::move(subject));
}

bool topology_state::has_queue(const consumer_entry& consumer) noexcept {
  return consumer.stage == consumer_stage::binding || consumer.stage == consumer_stage::starting
         || consumer.stage == consumer_stage::running;
}

void topology_state::on_reply(const about_binding& about, const amqp::reply& reply) {
  auto consumer = find_consumer(about.id);
  if (!consumer)
    return;
  auto i = std::find_if(
      consumer->bindings.begin(), consumer->bindings.end(), [&](const binding_entry& binding) {
        return binding.stage == binding_stage::asked && binding.request == reply.id;
      });
  if (i == consumer->bindings.end())
    return;
  if (!reply.error) {
    i->stage = binding_stage::bound;
    if (i->trust == standing::suspected)
      i->trust = standing::trusted;
    if (consumer->stage == consumer_stage::running)
      tell(*consumer, *i);
  } else if (reply.error.code == ec::access_refused
             && (consumer->found || consumer->queue.durable)) {
    assume(*consumer, *i, reply.error);
  } else if (reply.error.code == ec::not_found && may_restart(*consumer)) {
    return join_again(*consumer, *i, reply.error);
  } else {
    say(true, reply.error.text);
    refuse(*consumer, *i, reply.error);
  }
  continue_binding(*consumer);
}

// A user without the permission to bind gets the messages that somebody else has bound.
void topology_state::assume(consumer_entry& consumer, binding_entry& about, const failure& reason) {
  say(true,
      "queue " + amqp::quoted(consumer.queue_name) + ", exchange "
          + amqp::quoted(about.spec.exchange) + ", routing key "
          + amqp::quoted(about.spec.routing_key)
          + ": we may not bind it, so what arrives is what was bound already: " + reason.text);
  about.stage = binding_stage::assumed;
  if (consumer.stage == consumer_stage::running)
    tell(consumer, about);
}

// The queue or the exchange is gone, though it was there a moment ago.
void topology_state::join_again(consumer_entry& consumer, binding_entry& about,
                                const failure& reason) {
  auto& exchange = *find_exchange(about.spec.exchange);
  if (exchange.stage == entity_stage::ready)
    declare(exchange);
  if (consumer.stage == consumer_stage::binding) {
    restart(consumer, reason);
    return advance(consumer);
  }
  // The start has been asked for and must not be asked for twice.
  ++consumer.restarts;
  about.stage = binding_stage::wanted;
  bind(consumer);
}

void topology_state::continue_binding(consumer_entry& consumer) {
  if (consumer.stage != consumer_stage::binding)
    return;
  if (consumer.unwanted)
    return start(consumer);
  auto stands = false;
  auto waits = false;
  for (auto& binding : consumer.bindings) {
    if (binding.stage == binding_stage::asked
        || (binding.stage == binding_stage::wanted && binding.trust == standing::trusted))
      return;
    // The other bindings do not wait for one that is asked for alone, or apart.
    waits = waits || binding.stage == binding_stage::wanted;
    stands = stands || binding.stands() || binding.trust == standing::culprit;
  }
  if (stands)
    start(consumer);
  else if (!waits)
    refuse(consumer, consumer.bindings.front().reason);
}

void topology_state::start(consumer_entry& consumer) {
  if (!may_ask(consumer.trust, about_consumer{consumer.consumer.id})
      || !groups(consumer).may_start(consumer.consumer.id))
    return;
  consumer.stage = consumer_stage::starting;
  if (std::exchange(consumer.cancelled, false) && consumer.is_empty)
    begin_new_stream(consumer);
  auto started = consumer.consumer;
  started.queue = consumer.queue_name;
  started.group = groups(consumer).join(started.id, now_, is_replicated(consumer.queue));
  consumer.request =
      ask(amqp::start_consumer{std::move(started)}, about_consumer{consumer.consumer.id});
}

// A stream that was read is never empty, so this one is new. At the old offset the broker would
// pass over new messages until there are as many again.
void topology_state::begin_new_stream(consumer_entry& consumer) {
  auto& arguments = consumer.consumer.arguments;
  if (!arguments.empty())
    if (auto offset = std::get_if<std::int64_t>(&arguments.front().second); offset && *offset > 0)
      consumer.abandoned_offset = *offset;
  if (!consumer.abandoned_offset)
    return;
  say(true, "queue " + amqp::quoted(consumer.queue_name) + ": the stream that was read up to "
                + std::to_string(*consumer.abandoned_offset)
                + " is gone, another one is read from its beginning");
  arguments = {{"x-stream-offset", std::int64_t{0}}};
}

// Starts consumers that had no place, and consumers that are started one at a time.
void topology_state::start_waiting() {
  for (auto id : places_.take_granted())
    if (auto consumer = find_consumer(id)) {
      if (consumer->stage == consumer_stage::refused)
        reset(*consumer);
      if (consumer->stage == consumer_stage::waiting)
        advance(*consumer);
    }
  if (places_.any_waits() && !may_get_place())
    for (auto& [id, consumer] : consumers_)
      if (consumer.stage == consumer_stage::waiting && places_.waits(id))
        refuse_for_place(consumer);
  for (auto& each : links_)
    if (each.groups.is_crowded())
      for (auto& [id, consumer] : consumers_)
        continue_binding(consumer);
}

void topology_state::on_started(consumer_entry& consumer, const amqp::reply& reply) {
  if (reply.error) {
    if (reply.error.code != ec::not_found || !may_restart(consumer))
      return refuse(consumer, reply.error);
    restart(consumer, reply.error);
    return advance(consumer);
  }
  groups(consumer).started(consumer.consumer.id, now_);
  consumer.stage = consumer_stage::running;
  consumer.restarts = 0;
  if (consumer.unwanted)
    return unwant(consumer.consumer.id);
  for (auto& binding : consumer.bindings) {
    if (!binding.stands())
      continue;
    tell(consumer, binding);
    news_.back().abandoned_offset = std::exchange(consumer.abandoned_offset, {});
  }
}

void topology_state::refuse(consumer_entry& consumer, failure reason) {
  if (consumer.unwanted) {
    tell_retired(consumer.consumer.id, consumer.queue.name);
    return erase(consumer.consumer.id);
  }
  groups(consumer).left(consumer.consumer.id);
  places_.leave(consumer.consumer.id);
  say(true, "queue " + amqp::quoted(consumer.queue.name) + " refused: " + reason.text);
  consumer.stage = consumer_stage::refused;
  consumer.reason = reason;
  news_.push_back({consumer.consumer.id, consumer.queue.name, std::nullopt, std::move(reason)});
}

// The broker may refuse to cancel a consumer that has ended already: it is retired either way.
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

void topology_state::refuse(consumer_entry& consumer, binding_entry& about, failure reason) {
  about.stage = binding_stage::refused;
  about.reason = reason;
  tell(consumer, about, std::move(reason));
}

void topology_state::reset(consumer_entry& consumer) {
  consumer.restarts = 0;
  consumer.missing = false;
  consumer.found = false;
  consumer.stage = consumer_stage::waiting;
  consumer.reason = {};
  for (auto& binding : consumer.bindings)
    if (binding.trust != standing::culprit)
      binding.stage = binding_stage::wanted;
}

bool topology_state::may_restart(const consumer_entry& consumer) noexcept {
  return !consumer.unwanted && consumer.restarts < max_restarts;
}

void topology_state::restart(consumer_entry& consumer, const failure& reason) {
  say(true, "queue " + amqp::quoted(consumer.queue_name) + " is declared again: " + reason.text);
  const auto restarts = consumer.restarts + 1;
  groups(consumer).left(consumer.consumer.id);
  reset(consumer);
  consumer.restarts = restarts;
}

} // namespace actors
