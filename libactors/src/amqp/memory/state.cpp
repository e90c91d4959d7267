#include "amqp/memory/state.hpp"

#include <algorithm>

namespace actors::amqp::memory {

namespace {

template <class T>
std::vector<T> take(std::vector<T>& xs) {
  return std::exchange(xs, {});
}

template <class F>
std::vector<consumer_id> consumers_of(const link& owner, F belongs) {
  std::vector<consumer_id> result;
  for (auto& [id, place] : owner.consumers)
    if (belongs(place))
      result.push_back(id);
  return result;
}

std::vector<consumer_id> all_consumers(const link& x) {
  return consumers_of(x, [](auto&) { return true; });
}

} // namespace

// -- time -------------------------------------------------------------------------

// A dead letter may come to a queue that the loop has passed already; `offer` then notes that
// queue's deadline.
void state::tick(time_point now) {
  now_ = now;
  if (now < deadline_)
    return;
  deadline_ = never;
  queue_names abandoned;
  for (auto& [name, queue] : queues_) {
    if (queue->is_abandoned(now)) {
      abandoned.insert(name);
    } else {
      drop_expired(*queue);
      watch(*queue);
    }
  }
  for (auto& name : abandoned)
    erase_queue(name);
  flush();
}

void state::watch(const queue_state& x) noexcept {
  deadline_ = std::min(deadline_, x.deadline());
}

// -- calls of links ---------------------------------------------------------------

void state::attach(link& from, const endpoint& where, std::shared_ptr<link_listener> events) {
  from.now = link::phase::connecting;
  from.broker = to_string(where);
  from.known = where.known;
  from.events = std::move(events);
  links_.push_back(&from);
}

void state::open(link& from) {
  if (links_refused_ != ec::none) {
    end({&from}, {links_refused_, "the broker takes no links"});
    return;
  }
  from.now = link::phase::up;
  from.events->up("in-process broker " + semantics_.version);
}

void state::close(link& from) {
  end({&from}, {});
}

void state::abandon(link& from) {
  from.now = link::phase::ended;
  remove_links({&from});
  flush();
  from.events = nullptr; // the listener may hold a reference to the link
}

// -- ends -------------------------------------------------------------------------

void state::close_deliveries(link& from, std::uint32_t group, failure reason,
                             std::vector<consumer_id> ended) {
  auto running = consumers_of(from, [&](auto& x) { return x.group == group; });
  auto left = remove_consumers(from, running);
  ended.insert(ended.end(), running.begin(), running.end());
  auto old = std::move(from.channels[group]);
  from.channels.erase(group);
  events_of(from).channel_closed(
      {channel::deliveries, std::move(reason), old.generation, std::move(ended)});
  auto changed = requeue_all(from, old);
  for (auto& name : left)
    consumers_left(name);
  for (auto& name : changed)
    if (auto* queue = find(name))
      settle_down(*queue);
}

state::queue_names state::remove_consumers(link& from, const std::vector<consumer_id>& ids) {
  queue_names result;
  for (auto id : ids) {
    auto place = from.consumers.extract(id);
    auto* queue = find(place.mapped().queue);
    if (queue->remove(&from, id, now_))
      result.insert(place.mapped().queue);
    watch(*queue);
  }
  return result;
}

state::queue_names state::requeue_all(const link& from, delivery_channel& on) {
  queue_names result;
  for (auto& [tag, unsettled] : std::exchange(on.unsettled, {})) {
    auto queue = unsettled.from.lock();
    if (!queue)
      continue;
    queue->settled(&from, unsettled.consumer);
    put_back(*queue, std::move(unsettled.message), comes_back::lost);
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
  for (auto* owner : links_)
    for (auto id : consumers_of(*owner, [&](auto& x) { return x.queue == name; })) {
      owner->consumers.erase(id);
      events_of(*owner).cancelled(id);
    }
  return true;
}

// All consumers are removed before any message comes back, so that no message goes to a link
// that is about to end.
void state::remove_links(const std::vector<link*>& gone) {
  auto is_gone = [&](const link* from) {
    return from && std::find(gone.begin(), gone.end(), from) != gone.end();
  };
  std::erase_if(links_, is_gone);
  queue_names left;
  for (auto* from : gone)
    left.merge(remove_consumers(*from, all_consumers(*from)));
  queue_names changed;
  for (auto* from : gone)
    for (auto& [group, on] : from->channels)
      changed.merge(requeue_all(*from, on));
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
      settle_down(*queue);
}

void state::end(const std::vector<link*>& gone, const failure& reason) {
  remove_links(gone);
  for (auto* from : gone) {
    from->now = link::phase::ended;
    from->held.clear();
    auto told = reason;
    if (told)
      told.text = from->broker + ": " + told.text;
    events_of(*from).down(std::move(told));
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
      queue->restart(now_);
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
  for (auto* from : links_)
    if (from->publishes)
      events_of(*from).unblocked();
  for (auto* from : links_) {
    auto held = std::exchange(from->held, {});
    for (auto& publication : held)
      if (!accept(*from, publication))
        break;
  }
  flush();
}

void state::refuse_next(std::string entity, ec reason) {
  refusals_.emplace_back(std::move(entity), reason);
}

void state::duplicate_next(std::string queue) {
  duplications_.push_back(std::move(queue));
}

void state::lose_next(std::size_t messages) {
  losses_ = messages;
}

void state::delay_deliveries(bool on) {
  deliveries_delayed_ = on;
  for (auto& [name, queue] : queues_)
    pump(*queue);
  flush();
}

std::size_t state::forget_consumers(const std::string& name) {
  auto* queue = find(name);
  if (!queue)
    return 0;
  auto result = queue->remove_all(now_);
  watch(*queue);
  return result;
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

link_listener& state::events_of(link& to) {
  if (auto confirmations = take(to.confirmations); !confirmations.empty())
    to.events->confirmed(std::move(confirmations));
  for (auto& batch : take(to.deliveries))
    to.events->delivered(batch.generation, std::move(batch.items));
  return *to.events;
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
