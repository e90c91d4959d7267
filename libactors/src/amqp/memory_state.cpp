#include "amqp/memory_state.hpp"

#include <algorithm>

namespace actors::amqp::memory {

namespace {

template <class T>
std::vector<T> take(std::vector<T>& xs) {
  return std::exchange(xs, {});
}

} // namespace

// -- calls of links ---------------------------------------------------------------

void state::attach(link& from, std::string broker, std::shared_ptr<sink> events) {
  from.now = link::phase::connecting;
  from.broker = std::move(broker);
  from.events = std::move(events);
  links_.push_back(&from);
}

void state::open(link& from) {
  if (links_refused_ != ec::none) {
    end({&from}, {links_refused_, "the broker takes no links"});
    return;
  }
  from.now = link::phase::up;
  from.events->up("in-process broker");
}

void state::close(link& from) {
  end({&from}, {});
}

void state::abandon(link& from) {
  from.now = link::phase::ended;
  remove_links({&from});
  flush();
}

// -- messages ---------------------------------------------------------------------

void state::publish(link& from, std::uint32_t incarnation, std::vector<publication> xs) {
  if (incarnation != from.publishing_incarnation)
    return;
  if (!std::exchange(from.publishes, true) && blocked_)
    from.events->blocked(*blocked_);
  if (blocked_) {
    from.held.insert(from.held.end(), std::make_move_iterator(xs.begin()),
                     std::make_move_iterator(xs.end()));
    return;
  }
  // What follows the message that closed the channel goes with it.
  for (auto& x : xs)
    if (!accept(from, x))
      break;
  flush();
}

bool state::accept(link& from, publication& x) {
  auto to = targets(x);
  if (!to) {
    ++from.publishing_incarnation;
    events_of(from).channel_closed(channel::publishing,
                                   not_found("no exchange '" + x.exchange + "'"));
    return false;
  }
  if (to->empty() && x.mandatory)
    events_of(from).returned(
        {no_route(x.exchange, x.routing_key), x.exchange, x.routing_key, x.properties.message_id});
  if (!to->empty()) {
    auto shared =
        std::make_shared<const message>(message{std::move(x.exchange), std::move(x.routing_key),
                                                std::move(x.properties), std::move(x.body)});
    for (auto* queue : *to) {
      queue->push(shared);
      pump(*queue);
    }
  }
  from.confirmations.push_back({x.id, true});
  return true;
}

std::optional<std::vector<queue_state*>> state::targets(const publication& x) const {
  std::vector<queue_state*> result;
  if (x.exchange.empty()) {
    if (auto* queue = find(x.routing_key))
      result.push_back(queue);
    return result;
  }
  auto names = exchanges_.route(x.exchange, x.routing_key);
  if (!names)
    return std::nullopt;
  for (auto name : *names)
    result.push_back(queues_.find(name)->second.get());
  return result;
}

void state::settle(link& from, std::uint32_t incarnation, const std::vector<settlement>& xs) {
  for (auto& x : xs)
    if (incarnation == from.incarnation)
      settle(from, x);
  flush();
}

void state::settle(link& from, const settlement& x) {
  auto& unsettled = from.unsettled;
  auto all = x.multiple && x.tag == 0;
  auto last = unsettled.find(x.tag);
  if (last == unsettled.end() && !all) {
    close_deliveries(from, precondition_failed("unknown delivery tag " + std::to_string(x.tag)));
    return;
  }
  auto first = x.multiple ? unsettled.begin() : last;
  auto stop = all ? unsettled.end() : std::next(last);
  std::set<queue_ptr> queues;
  for (auto i = first; i != stop; ++i) {
    auto queue = i->second.from.lock();
    if (!queue)
      continue;
    queue->settled(&from, i->second.consumer);
    if (x.what == settlement::verdict::requeue)
      queue->requeue(std::move(i->second.what));
    queues.insert(std::move(queue));
  }
  unsettled.erase(first, stop);
  for (auto& queue : queues)
    pump(*queue);
}

void state::pump(queue_state& from) {
  while (from.ready() > 0) {
    auto* to = from.next_in_turn();
    if (!to)
      return;
    auto& owner = *to->owner;
    auto x = from.pop(*to);
    auto tag = ++owner.last_tag;
    owner.deliveries.push_back({to->what.id, tag, x.redelivered, x.what->exchange,
                                x.what->routing_key, x.what->properties,
                                x.what->body ? *x.what->body : std::string{}});
    if (!to->what.no_ack)
      owner.unsettled.emplace(tag,
                              unsettled_message{from.weak_from_this(), to->what.id, std::move(x)});
  }
}

// -- ends -------------------------------------------------------------------------

void state::close_deliveries(link& from, failure reason) {
  auto left = remove_consumers(from);
  events_of(from).channel_closed(channel::deliveries, std::move(reason));
  ++from.incarnation;
  from.last_tag = 0;
  auto changed = requeue_all(from);
  for (auto& name : left)
    consumers_left(name);
  for (auto& name : changed)
    if (auto* queue = find(name))
      pump(*queue);
}

state::queue_names state::remove_consumers(link& from) {
  queue_names result;
  for (auto& [id, name] : std::exchange(from.consumers, {})) {
    find(name)->remove(&from, id);
    result.insert(name);
  }
  return result;
}

state::queue_names state::requeue_all(link& from) {
  queue_names result;
  for (auto& [tag, x] : std::exchange(from.unsettled, {})) {
    auto queue = x.from.lock();
    if (!queue)
      continue;
    queue->settled(&from, x.consumer);
    queue->requeue(std::move(x.what));
    result.insert(queue->what().name);
  }
  return result;
}

void state::consumers_left(const std::string& name) {
  auto* queue = find(name);
  if (queue && queue->what().auto_delete && queue->subscribers().empty())
    erase_queue(name);
}

bool state::erase_queue(const std::string& name) {
  auto i = queues_.find(name);
  if (i == queues_.end())
    return false;
  auto gone = std::move(i->second);
  queues_.erase(i);
  exchanges_.unbind_queue(gone->what().name);
  for (auto& x : gone->subscribers()) {
    x.owner->consumers.erase(x.what.id);
    events_of(*x.owner).cancelled(x.what.id);
  }
  return true;
}

// All consumers go before any message comes back: nothing is delivered to a
// link that is about to end.
void state::remove_links(const std::vector<link*>& gone) {
  auto is_gone = [&](const link* x) {
    return x && std::find(gone.begin(), gone.end(), x) != gone.end();
  };
  std::erase_if(links_, is_gone);
  queue_names left;
  for (auto* x : gone)
    left.merge(remove_consumers(*x));
  queue_names changed;
  for (auto* x : gone)
    changed.merge(requeue_all(*x));
  for (auto& [name, queue] : queues_)
    if (is_gone(queue->owner()))
      left.insert(name);
  for (auto& name : left) {
    if (is_gone(find(name)->owner()))
      erase_queue(name);
    else
      consumers_left(name);
  }
  for (auto& name : changed)
    if (auto* queue = find(name))
      pump(*queue);
}

void state::end(const std::vector<link*>& gone, const failure& reason) {
  remove_links(gone);
  for (auto* x : gone) {
    x->now = link::phase::ended;
    x->held.clear();
    auto told = reason;
    if (told)
      told.text = x->broker + ": " + told.text;
    events_of(*x).down(std::move(told));
  }
  flush();
}

// -- faults -----------------------------------------------------------------------

void state::drop_links(ec reason) {
  end(std::vector{links_}, {reason, "the broker dropped the link"});
}

void state::restart() {
  end(std::vector{links_},
      {ec::connection_forced, "CONNECTION_FORCED - broker forced connection closure with reason "
                              "'shutdown' (320)"});
  queue_names transient;
  for (auto& [name, queue] : queues_) {
    if (queue->what().durable)
      queue->keep_persistent();
    else
      transient.insert(name);
  }
  for (auto& name : transient)
    erase_queue(name);
  exchanges_.keep_durable();
}

void state::refuse_links(ec reason) {
  links_refused_ = reason;
}

void state::block(std::string reason) {
  blocked_ = std::move(reason);
  for (auto* x : links_)
    if (x->publishes)
      events_of(*x).blocked(*blocked_);
}

void state::unblock() {
  if (!blocked_)
    return;
  blocked_.reset();
  for (auto* x : links_)
    if (x->publishes)
      events_of(*x).unblocked();
  for (auto* x : links_) {
    auto held = std::exchange(x->held, {});
    for (auto& publication : held)
      if (!accept(*x, publication))
        break;
  }
  flush();
}

void state::refuse_next(std::string entity, ec reason) {
  refusals_.emplace_back(std::move(entity), reason);
}

bool state::delete_queue(const std::string& name) {
  return erase_queue(name);
}

bool state::delete_exchange(const std::string& name) {
  return exchanges_.erase(name);
}

// -- inspection -------------------------------------------------------------------

std::vector<memory_broker::queue_info> state::queues() const {
  std::vector<memory_broker::queue_info> result;
  for (auto& [name, queue] : queues_)
    result.push_back({name, queue->ready(), queue->unacked(), queue->subscribers().size()});
  return result;
}

std::vector<binding> state::bindings() const {
  return exchanges_.bindings();
}

std::size_t state::links() const {
  return static_cast<std::size_t>(std::count_if(links_.begin(), links_.end(),
                                                [](auto* x) { return x->now == link::phase::up; }));
}

// -- events -----------------------------------------------------------------------

sink& state::events_of(link& x) {
  if (auto xs = take(x.confirmations); !xs.empty())
    x.events->confirmed(std::move(xs));
  if (auto xs = take(x.deliveries); !xs.empty())
    x.events->delivered(x.incarnation, std::move(xs));
  return *x.events;
}

void state::flush() {
  for (auto* x : links_)
    events_of(*x);
}

queue_state* state::find(const std::string& name) const {
  auto i = queues_.find(name);
  return i == queues_.end() ? nullptr : i->second.get();
}

} // namespace actors::amqp::memory
