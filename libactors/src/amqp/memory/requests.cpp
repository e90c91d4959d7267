#include <algorithm>

#include "amqp/memory/refusals.hpp"
#include "amqp/memory/state.hpp"
#include "amqp/overloaded.hpp"
#include "amqp/wire_rules.hpp"

namespace actors::amqp::memory {

namespace {

failure locked(const std::string& queue) {
  return resource_locked("cannot obtain exclusive access to locked " + describe_queue(queue)
                         + ". It could be originally declared on another connection or the "
                           "exclusive property value does not match that of the original "
                           "declaration.");
}

bool concerns(const operation& wanted, const std::string& entity) {
  auto visitor = overloaded{
      [&](const declare_exchange& x) { return x.spec.name == entity; },
      [&](const declare_queue& x) { return x.spec.name == entity; },
      [&](const delete_queue& x) { return x.name == entity; },
      [&](const bind_queue& x) { return x.spec.exchange == entity || x.spec.queue == entity; },
      [&](const unbind_queue& x) { return x.spec.exchange == entity || x.spec.queue == entity; },
      [&](const start_consumer& x) { return x.spec.queue == entity; },
      [&](const cancel_consumer&) { return false; },
  };
  return std::visit(visitor, wanted);
}

} // namespace

void state::request(link& from, request_id id, const operation& wanted) {
  if (auto problem = amqp::check(wanted))
    return events_of(from).replied({id, std::move(problem), {}});
  auto* consumer = std::get_if<start_consumer>(&wanted);
  if (consumer && from.consumers.count(consumer->spec.id) > 0)
    return events_of(from).replied(
        {id, {ec::invalid_argument, to_string(wanted) + ": it runs already: cancel it first"}, {}});
  auto learned = from.known;
  if (auto reason = denial(from, wanted, learned)) {
    deny(from, id, {reason.code, to_string(wanted) + ": " + reason.text}, learned);
    return;
  }
  if (consumer)
    return start(from, id, *consumer);
  reply answer{id, take_refusal(wanted), {}};
  if (!answer.error)
    answer.error = carry_out(from, wanted, answer);
  if (answer.error)
    answer.error.text = to_string(wanted) + ": " + answer.error.text;
  events_of(from).replied(std::move(answer));
  flush();
}

// A refusal closes the channel of the consumer's group.
void state::start(link& from, request_id id, const start_consumer& wanted) {
  auto& spec = wanted.spec;
  auto& on = from.channels[spec.group];
  if (on.generation == 0)
    on.generation = ++from.last_generation;
  auto error = take_refusal(wanted);
  if (!error)
    error = start(from, spec);
  if (error.code == ec::not_implemented) {
    // AMQP makes this an error of the whole connection.
    events_of(from).suspected({id});
    return end({&from}, error);
  }
  if (error) {
    close_deliveries(from, spec.group, std::move(error), {spec.id});
  } else {
    events_of(from).replied({id, {}, {}});
    pump(*find(spec.queue));
  }
  flush();
}

failure state::denial(const link& from, const operation& wanted, broker_limits& learned) const {
  if (auto* declared = std::get_if<declare_queue>(&wanted)) {
    auto& queue = declared->spec;
    auto asks = !declared->passive && !queue.durable && !queue.exclusive;
    if (!asks || semantics_.transient_queues || find(queue.name))
      return {};
    learned.transient_queues = false;
    return internal_error("Feature `transient_nonexcl_queues` is deprecated. Its use is not "
                          "permitted per the configuration");
  }
  // A link that knows the limit spreads its consumers over channels.
  auto limit = semantics_.consumers_per_channel;
  if (std::holds_alternative<start_consumer>(wanted) && limit > 0
      && from.known.consumers_per_channel == 0 && from.consumers.size() >= limit) {
    learned.consumers_per_channel = limit;
    return not_allowed("reached maximum (" + std::to_string(limit) + ") of consumers per channel");
  }
  return {};
}

void state::deny(link& from, request_id id, const failure& reason, const broker_limits& learned) {
  events_of(from).learned(learned);
  events_of(from).suspected({id});
  end({&from}, reason);
}

failure state::carry_out(link& from, const operation& wanted, reply& answer) {
  auto visitor = overloaded{
      [&](const declare_exchange& x) { return exchanges_.declare(x.spec, x.passive); },
      [&](const declare_queue& x) { return declare(from, x, answer); },
      [&](const amqp::delete_queue& x) { return erase(from, x.name); },
      [&](const bind_queue& x) { return bind(from, x.spec); },
      [&](const unbind_queue& x) { return unbind(from, x.spec); },
      [](const start_consumer&) { return failure{}; }, // see `start`
      [&](const cancel_consumer& x) {
        cancel(from, x.id);
        return failure{};
      },
  };
  return std::visit(visitor, wanted);
}

failure state::declare(link& from, const declare_queue& wanted, reply& answer) {
  answer.queue = wanted.spec.name;
  auto error =
      wanted.passive ? check(from, answer.queue) : declare(from, wanted.spec, answer.queue);
  if (auto* queue = find(answer.queue); queue && !error) {
    answer.messages = queue->ready();
    // RabbitMQ does not count the readers of a stream.
    answer.consumers = queue->is(queue_kind::stream) ? 0 : queue->subscribers().size();
    // RabbitMQ's quorum queues do not count a declaration as a use.
    if (queue->is(queue_kind::classic))
      queue->touch(now_);
    watch(*queue);
  }
  return error;
}

failure state::declare(link& from, const queue& wanted, std::string& name) {
  if (is_reserved(wanted.name))
    return access_refused("queue name '" + wanted.name + "' contains reserved prefix 'amq.*'");
  auto exact = wanted;
  // An exclusive queue ends with its link, and so is never durable.
  exact.durable = wanted.durable && !wanted.exclusive;
  auto* owner = wanted.exclusive ? &from : nullptr;
  if (name.empty())
    name = exact.name = "amq.gen-" + std::to_string(++last_generated_);
  if (auto* current = find(name))
    return current->owner() == owner ? compare(exact, current->what()) : locked(name);
  if (auto error = memory::check(wanted))
    return error;
  queues_.emplace(name, std::make_shared<queue_state>(std::move(exact), owner, now_, semantics_));
  return {};
}

failure state::check(const link& from, const std::string& name) const {
  auto* queue = find(name);
  if (!queue)
    return not_found("no " + describe_queue(name));
  if (queue->owner() && queue->owner() != &from)
    return locked(name);
  return {};
}

failure state::erase(const link& from, const std::string& name) {
  auto error = check(from, name);
  if (error.code == ec::not_found)
    return {};
  if (!error)
    erase_queue(name);
  return error;
}

failure state::bind(const link& from, const binding& wanted) {
  auto error = exchanges_.check(wanted.exchange);
  if (!error)
    error = check(from, wanted.queue);
  if (!error)
    exchanges_.bind(wanted);
  return error;
}

failure state::unbind(const link& from, const binding& wanted) {
  auto error =
      wanted.exchange.empty() ? exchanges_.check(wanted.exchange) : check(from, wanted.queue);
  if (error.code == ec::not_found)
    return {};
  if (!error)
    exchanges_.unbind(wanted);
  return error;
}

failure state::start(link& from, const consumer& wanted) {
  if (auto error = check(from, wanted.queue))
    return error;
  auto& queue = *find(wanted.queue);
  if (auto error = memory::check(wanted, queue.rules().kind))
    return error;
  // The other kinds of queues ignore `exclusive` here.
  if (queue.is(queue_kind::classic)
      && (queue.has_exclusive_subscriber() || (wanted.exclusive && !queue.subscribers().empty())))
    return access_refused(describe_queue(wanted.queue) + " in exclusive use");
  auto& on = from.channels[wanted.group];
  if (!wanted.no_ack)
    on.prefetch_count = wanted.prefetch_count;
  subscriber added{&from, wanted};
  if (queue.is(queue_kind::quorum)) {
    // A quorum queue takes a consumer with the name of a former one for that one.
    added.credit -= std::count_if(on.unsettled.begin(), on.unsettled.end(), [&](auto& entry) {
      return entry.second.consumer == wanted.id && entry.second.from.lock().get() == &queue;
    });
  }
  if (auto error = start_reading(on, queue, added))
    return error;
  queue.add(std::move(added));
  from.consumers.emplace(wanted.id, consumer_place{wanted.queue, wanted.group});
  return {};
}

failure state::start_reading(const delivery_channel& on, const queue_state& queue,
                             subscriber& reader) const {
  if (!queue.log())
    return {};
  // A consumer without acknowledgements sets no prefetch count of its own.
  if (on.prefetch_count == 0)
    return precondition_failed("consumer prefetch count is not set for '"
                               + describe_queue(reader.spec.queue) + "'");
  if (reader.spec.no_ack)
    return not_implemented("automatic acknowledgement not supported by stream queues "
                           + describe_queue(reader.spec.queue));
  auto start = queue.log()->start(find_field(reader.spec.arguments, "x-stream-offset"), now_);
  if (!start)
    return precondition_failed("invalid arg 'x-stream-offset' for "
                               + describe_queue(reader.spec.queue));
  reader.position = *start;
  return {};
}

void state::cancel(link& from, consumer_id id) {
  auto i = from.consumers.find(id);
  if (i == from.consumers.end())
    return;
  auto name = i->second.queue;
  from.consumers.erase(i);
  auto* queue = find(name);
  auto removed = queue->remove(&from, id, now_);
  watch(*queue);
  if (removed)
    consumers_left(name);
}

failure state::take_refusal(const operation& wanted) {
  auto i = std::find_if(refusals_.begin(), refusals_.end(),
                        [&](auto& x) { return concerns(wanted, x.first); });
  if (i == refusals_.end())
    return {};
  failure result{i->second, "refused as '" + i->first + "' was to be"};
  refusals_.erase(i);
  return result;
}

} // namespace actors::amqp::memory
