#include <algorithm>

#include "amqp/memory/refusals.hpp"
#include "amqp/memory/state.hpp"
#include "amqp/wire_rules.hpp"

// The way of a message through an in-process broker, from publication to settlement.

namespace actors::amqp::memory {

namespace {

/// Returns the first stream among the queues of some messages, if any.
template <class Iterator>
std::shared_ptr<queue_state> find_stream(Iterator first, Iterator last) {
  for (; first != last; ++first)
    if (auto queue = first->second.from.lock(); queue && queue->is(queue_kind::stream))
      return queue;
  return nullptr;
}

} // namespace

failure state::check_size(const publication& message) const {
  const auto size = message.body ? message.body->size() : 0;
  if (size <= semantics_.max_message_size)
    return {};
  return precondition_failed("message size " + std::to_string(size)
                             + " is larger than configured max size "
                             + std::to_string(semantics_.max_message_size));
}

// -- publishing -------------------------------------------------------------------

void state::publish(link& from, std::uint32_t generation, std::vector<publication> publications) {
  if (generation != from.publishing_generation)
    return;
  if (!std::exchange(from.publishes, true) && blocked_)
    from.events->blocked(*blocked_);
  if (blocked_) {
    from.held.insert(from.held.end(), std::make_move_iterator(publications.begin()),
                     std::make_move_iterator(publications.end()));
    return;
  }
  // Publications after the one that closed the channel are lost with it.
  for (auto& published : publications)
    if (!accept(from, published))
      break;
  flush();
}

bool state::accept(link& from, publication& published) {
  if (auto impossible = published.checked ? failure{} : amqp::check(published)) {
    events_of(from).refused(published.id, std::move(impossible));
    return true;
  }
  auto to = targets(published.exchange, published.routing_key);
  auto problem =
      !to ? not_found("no exchange '" + published.exchange + "'") : check_size(published);
  if (problem) {
    ++from.publishing_generation;
    events_of(from).channel_closed({channel::publishing, std::move(problem)});
    return false;
  }
  if (to->empty() && published.mandatory)
    events_of(from).returned({no_route(published.exchange, published.routing_key),
                              published.exchange, published.routing_key, published.properties});
  auto accepted = true;
  if (losses_ > 0) {
    --losses_;
  } else if (!to->empty()) {
    auto shared = std::make_shared<const message>(
        message{std::move(published.exchange), std::move(published.routing_key),
                std::move(published.properties), std::move(published.body)});
    for (auto* queue : *to) {
      auto again = std::find(duplications_.begin(), duplications_.end(), queue->what().name);
      if (again != duplications_.end()) {
        duplications_.erase(again);
        offer(*queue, shared);
      }
      accepted = offer(*queue, shared) && accepted;
    }
  }
  from.confirmations.push_back({published.id, accepted});
  return true;
}

std::optional<std::vector<queue_state*>> state::targets(const std::string& exchange,
                                                        const std::string& routing_key) const {
  std::vector<queue_state*> result;
  if (exchange.empty()) {
    if (auto* queue = find(routing_key))
      result.push_back(queue);
    return result;
  }
  auto names = exchanges_.route(exchange, routing_key);
  if (!names)
    return std::nullopt;
  for (auto name : *names)
    result.push_back(queues_.find(name)->second.get());
  return result;
}

// A waiting consumer gets the message even where the queue has neither room nor time for it.
bool state::offer(queue_state& to, const message_ptr& content) {
  if (to.refuses(content->size())) {
    if (to.rules().overflow == overflow_policy::reject_publish_dlx)
      give_up(to, *content, death::cause::maxlen);
    return false;
  }
  to.push(content, now_);
  pump(to);
  drop_expired(to);
  drop_excess(to);
  watch(to);
  return true;
}

// -- consuming --------------------------------------------------------------------

void state::pump(queue_state& from) {
  while (!deliveries_delayed_) {
    auto next = from.hand_out();
    if (!next)
      break;
    deliver(from, std::move(*next));
  }
  watch(from);
}

void state::deliver(queue_state& from, handed_message handed) {
  auto& owner = *handed.to->owner;
  auto& to = handed.to->spec;
  auto& message = *handed.message.content;
  auto& on = owner.channels[to.group];
  auto tag = ++on.last_tag;
  auto& batches = owner.deliveries;
  if (batches.empty() || batches.back().generation != on.generation)
    batches.push_back({on.generation, {}});
  batches.back().items.push_back({to.id, tag, handed.message.redelivered, message.exchange,
                                  message.routing_key, properties_of(handed),
                                  message.body ? *message.body : std::string{}});
  if (!to.no_ack)
    on.unsettled.emplace(
        tag, unsettled_message{from.weak_from_this(), to.id, std::move(handed.message)});
}

void state::settle(link& from, std::uint32_t generation,
                   const std::vector<settlement>& settlements) {
  auto i = std::find_if(from.channels.begin(), from.channels.end(),
                        [&](auto& x) { return x.second.generation == generation; });
  if (i == from.channels.end())
    return;
  const auto group = i->first;
  for (auto& decision : settlements)
    if (!settle(from, group, decision))
      break;
  flush();
}

bool state::settle(link& from, std::uint32_t group, const settlement& decision) {
  using verdict = settlement::verdict;
  auto& unsettled = from.channels[group].unsettled;
  auto all = decision.multiple && decision.tag == 0;
  auto last = unsettled.find(decision.tag);
  if (last == unsettled.end() && !all) {
    close_deliveries(from, group,
                     precondition_failed("unknown delivery tag " + std::to_string(decision.tag)));
    return false;
  }
  auto first = decision.multiple ? unsettled.begin() : last;
  auto stop = all ? unsettled.end() : std::next(last);
  auto gives_back = decision.outcome != verdict::ack && semantics_.streams_take_acks_only;
  if (auto stream = gives_back ? find_stream(first, stop) : nullptr) {
    end({&from}, not_implemented("basic.nack and basic.reject not supported by stream queues "
                                 + describe_queue(stream->what().name)));
    return false;
  }
  std::vector<std::pair<queue_ptr, queued_message>> settled;
  for (auto i = first; i != stop; ++i)
    if (auto queue = i->second.from.lock()) {
      queue->settled(&from, i->second.consumer);
      settled.emplace_back(std::move(queue), std::move(i->second.message));
    }
  unsettled.erase(first, stop);
  queue_names changed;
  for (auto& [queue, message] : settled) {
    if (decision.outcome == verdict::requeue || decision.outcome == verdict::release)
      // A link returns several deliveries at once by basic.nack, which counts as a release.
      put_back(*queue, std::move(message),
               decision.outcome == verdict::requeue && !decision.multiple ? comes_back::failed
                                                                          : comes_back::released);
    else if (decision.outcome == verdict::reject)
      give_up(*queue, *message.content, death::cause::rejected);
    changed.insert(queue->what().name);
  }
  for (auto& name : changed)
    settle_down(*find(name));
  return true;
}

void state::put_back(queue_state& to, queued_message returned, comes_back why) {
  auto content = returned.content;
  if (!to.put_back(returned, why))
    give_up(to, *content, death::cause::delivery_limit);
}

void state::settle_down(queue_state& queue) {
  drop_excess(queue);
  drop_expired(queue);
  pump(queue);
}

// -- giving up --------------------------------------------------------------------

void state::drop_expired(queue_state& from) {
  while (auto x = from.take_expired(now_))
    give_up(from, *x->content, death::cause::expired);
}

void state::drop_excess(queue_state& from) {
  while (auto x = from.take_excess())
    give_up(from, *x->content, death::cause::maxlen);
}

void state::give_up(const queue_state& from, const message& content, death::cause reason) {
  if (!from.rules().dead_letter_exchange)
    return;
  auto dead = dead_lettered(content, from.what().name, from.rules(), reason);
  auto to = targets(dead->exchange, dead->routing_key);
  if (!to)
    return;
  for (auto* queue : *to)
    if (!goes_in_circles(*dead, queue->what().name))
      offer(*queue, dead);
}

} // namespace actors::amqp::memory
