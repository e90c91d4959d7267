#include "actors/dispatcher.hpp"

#include <algorithm>

#include <caf/sec.hpp>
#include <fmt/core.h>

#include "actors/error.hpp"
#include "actors/logging.hpp"

namespace actors {

namespace {

/// CAF reports an answer that `then` has no handler for as an error of its own;
/// to us any answer means that the handler has returned.
bool is_failure(const caf::error& x) noexcept {
  return x && x != caf::sec::unexpected_response;
}

std::string describe(const subscription& x) {
  return fmt::format("{}:{}", x.exchange, x.routing_key);
}

} // namespace

std::string queue_name(const dispatcher_settings& settings, const subscription& x) {
  if (x.queue)
    return *x.queue;
  auto result = fmt::format("{}.{}.{}", settings.server_id, x.exchange, x.routing_key);
  if (!settings.instance.empty())
    result += '.' + settings.instance;
  return result;
}

dispatcher_state::dispatcher_state(caf::event_based_actor* self) : self_(self) {
  // nop
}

void dispatcher_state::init(dispatcher_settings settings, caf::actor supervisor) {
  settings_ = std::move(settings);
  supervisor_ = std::move(supervisor);
  decoder_ = payload_decoder{settings_.limits};
}

// -- subscriptions ----------------------------------------------------------------------

caf::result<subscribed> dispatcher_state::subscribe(subscription what, caf::actor subscriber) {
  if (auto err = check(what))
    return err;
  auto queue = queue_name(settings_, what);
  if (queue.size() > 255)
    return make_error(ec::invalid_argument,
                      fmt::format("queue '{}': a name has at most 255 bytes", queue));
  auto known = by_queue_.find(queue);
  if (known != by_queue_.end())
    if (auto err = conflict(consumers_[known->second], what))
      return err;
  const auto consumer_id =
      known != by_queue_.end() ? known->second : add_consumer(what, std::move(queue));
  auto& from = consumers_[consumer_id];

  const auto id = ++last_subscription_;
  auto& x = handlers_[id];
  x.what = std::move(what);
  x.subscriber = std::move(subscriber);
  x.consumer = consumer_id;
  x.promise = self_->make_response_promise();
  x.counters.id = id;
  x.counters.subscriber = x.subscriber.id();
  from.members.push_back(id);
  from.handlers.insert(id, x.what.exchange, x.what.routing_key);
  if (subscribers_[x.subscriber.address()]++ == 0)
    self_->monitor(x.subscriber);

  const amqp::binding binding{x.what.exchange, from.queue, x.what.routing_key};
  if (std::find(from.bound.begin(), from.bound.end(), binding) != from.bound.end())
    establish(x, from);
  else
    want(consumer_id, from, x.what);
  return caf::delegated<subscribed>{};
}

caf::error dispatcher_state::conflict(const consumer& x, const subscription& what) const {
  if (x.no_ack == what.no_ack && x.prefetch_count == what.prefetch_count)
    return {};
  return make_error(
      ec::subscription_conflict,
      fmt::format(
          "queue '{}' is consumed here with prefetch count {}{}; {} asks for {}{}: subscribe "
          "alike or name another queue",
          x.queue, x.prefetch_count, x.no_ack ? " and no_ack" : "", describe(what),
          what.prefetch_count, what.no_ack ? " and no_ack" : ""));
}

amqp::consumer_id dispatcher_state::add_consumer(const subscription& what, std::string queue) {
  const auto id = ++last_consumer_;
  if (!queue.empty())
    by_queue_.emplace(queue, id);
  auto& x = consumers_[id];
  x.queue = std::move(queue);
  x.prefetch_count = what.prefetch_count;
  x.no_ack = what.no_ack;
  return id;
}

void dispatcher_state::want(amqp::consumer_id id, const consumer& x, const subscription& what) {
  wanted_consumer wanted;
  wanted.consumer = {
      .id = id, .queue = x.queue, .prefetch_count = x.prefetch_count, .no_ack = x.no_ack};
  wanted.queue = {.name = x.queue, .exclusive = x.queue.empty()};
  wanted.binding = {what.exchange, x.queue, what.routing_key};
  self_->send(supervisor_, std::move(wanted));
}

caf::result<void> dispatcher_state::unsubscribe(subscription_id id) {
  if (!handlers_.contains(id))
    return make_error(ec::not_subscribed, fmt::format("there is no subscription {}", id));
  auto promise = handlers_[id].promise;
  remove(id);
  if (promise.pending())
    promise.deliver(make_error(ec::not_subscribed, "unsubscribed before the broker answered"));
  return caf::unit;
}

// Messages handed over to its subscriber may still be answered.
void dispatcher_state::remove(subscription_id id) {
  auto i = handlers_.find(id);
  auto x = std::move(i->second);
  handlers_.erase(i);
  if (auto who = subscribers_.find(x.subscriber.address()); --who->second == 0) {
    self_->demonitor(x.subscriber);
    subscribers_.erase(who);
  }
  auto& from = consumers_[x.consumer];
  from.handlers.erase(id);
  std::erase(from.members, id);
  if (from.handlers.empty()) {
    self_->send(supervisor_, unwant_atom_v, x.consumer);
    if (!from.no_ack)
      retired_.insert(x.consumer);
    by_queue_.erase(from.queue);
    consumers_.erase(x.consumer);
  } else if (!from.handlers.uses(x.what.exchange, x.what.routing_key)) {
    amqp::binding unused{x.what.exchange, from.queue, x.what.routing_key};
    std::erase(from.bound, unused);
    self_->send(supervisor_, unwant_atom_v, x.consumer, std::move(unused));
  }
}

void dispatcher_state::on_subscriber_down(const caf::actor_addr& who) {
  std::vector<subscription_id> gone;
  for (auto& [id, x] : handlers_)
    if (x.subscriber.address() == who)
      gone.push_back(id);
  if (gone.empty())
    return;
  // What it had not answered goes back to its queue.
  for (auto i = unanswered_.begin(); i != unanswered_.end();) {
    auto& [tag, open] = *i;
    const auto erased = std::erase_if(open.waiting, [&](subscription_id id) {
      return std::binary_search(gone.begin(), gone.end(), id);
    });
    open.failed = open.failed || erased > 0;
    if (open.waiting.empty() && erased > 0) {
      settle(tag, ack_window::verdict::requeue);
      i = unanswered_.erase(i);
    } else {
      ++i;
    }
  }
  log(log_level::info, fmt::format("a subscriber ended: {} subscriptions removed", gone.size()));
  for (auto id : gone)
    remove(id);
}

void dispatcher_state::on_consumer_state(const consumer_state& x) {
  auto i = consumers_.find(x.id);
  if (i == consumers_.end())
    return;
  auto& from = i->second;
  if (!x.error) {
    from.queue_name = x.queue;
    if (x.binding
        && std::find(from.bound.begin(), from.bound.end(), *x.binding) == from.bound.end())
      from.bound.push_back(*x.binding);
    for (auto id : members_of(from, x.binding))
      establish(handlers_[id], from);
    return;
  }
  if (x.binding)
    std::erase(from.bound, *x.binding);
  else
    from.bound.clear();
  for (auto id : members_of(from, x.binding))
    fail(id, x.error);
}

std::vector<subscription_id>
dispatcher_state::members_of(const consumer& x, const std::optional<amqp::binding>& what) const {
  if (!what)
    return x.members;
  std::vector<subscription_id> result;
  for (auto id : x.members) {
    auto& y = handlers_.at(id).what;
    if (y.exchange == what->exchange && y.routing_key == what->routing_key)
      result.push_back(id);
  }
  return result;
}

void dispatcher_state::establish(handler& x, const consumer& from) {
  x.counters.consuming = true;
  if (x.established)
    return;
  x.established = true;
  log(log_level::info,
      fmt::format("subscribed: {} on queue '{}'", describe(x.what), from.queue_name));
  if (x.promise.pending())
    x.promise.deliver(
        subscribed{x.counters.id, x.what.exchange, x.what.routing_key, from.queue_name});
}

// A subscription that never worked ends with the error; one that did is kept
// and comes back when the broker lets it.
void dispatcher_state::fail(subscription_id id, const failure& reason) {
  auto& x = handlers_[id];
  x.counters.consuming = false;
  if (x.established)
    return;
  log(log_level::error, fmt::format("not subscribed: {}: {}", describe(x.what), reason.text));
  auto promise = x.promise;
  remove(id);
  if (promise.pending())
    promise.deliver(make_error(reason));
}

void dispatcher_state::on_consumers_lost(const consumers_lost&) {
  retired_.clear();
  for (auto& [id, x] : consumers_)
    x.bound.clear();
  for (auto& [id, x] : handlers_)
    x.counters.consuming = false;
}

// -- deliveries -------------------------------------------------------------------------

void dispatcher_state::on_deliveries(delivery_batch& batch) {
  open_window(batch);
  // One flush at the end does for all of them.
  const auto scheduled = std::exchange(flush_scheduled_, true);
  for (auto& x : batch.items)
    dispatch(x);
  flush();
  flush_scheduled_ = scheduled;
}

void dispatcher_state::open_window(const delivery_batch& batch) {
  if (connection_ == batch.connection && incarnation_ == batch.incarnation)
    return;
  connection_ = batch.connection;
  incarnation_ = batch.incarnation;
  ++life_;
  window_ = ack_window{};
  unanswered_.clear();
}

void dispatcher_state::dispatch(amqp::delivery& x) {
  ++counters_.received;
  auto i = consumers_.find(x.consumer);
  if (i == consumers_.end())
    return settle_unknown(x);
  auto& from = i->second;
  if (!from.no_ack)
    window_.open(x.tag);
  auto& ids = from.handlers.match(x.exchange, x.routing_key);
  if (ids.empty()) {
    ++counters_.unmatched;
    return settle(x.tag, ack_window::verdict::ack);
  }
  if (!open_body(x, from))
    return settle(x.tag, ack_window::verdict::reject);
  unanswered open;
  auto malformed = true;
  for (auto id : ids) {
    auto& to = handlers_[id];
    auto& message = decode(to.what.codec);
    if (!message) {
      ++to.counters.failed;
      report_malformed(x, from, message.error());
      continue;
    }
    malformed = false;
    if (to.what.kline_type.empty() || to.what.codec.kline_type(*message) == to.what.kline_type)
      hand_over(to, *message, x.tag, open);
  }
  if (!open.waiting.empty())
    unanswered_.emplace(x.tag, std::move(open));
  else
    settle(x.tag, malformed ? ack_window::verdict::reject : ack_window::verdict::ack);
}

// A consumer that was cancelled while this was on its way: back to its queue,
// for others.
void dispatcher_state::settle_unknown(const amqp::delivery& x) {
  ++counters_.unmatched;
  if (!retired_.contains(x.consumer))
    return;
  window_.open(x.tag);
  settle(x.tag, ack_window::verdict::requeue);
}

bool dispatcher_state::open_body(const amqp::delivery& x, const consumer& from) {
  decoded_.clear();
  auto parts = decoder_.open(x.body);
  if (!parts) {
    report_malformed(x, from, parts.error());
    return false;
  }
  checked_ = parts->checked;
  received_ = {.name = parts->name,
               .data = parts->data,
               .max_depth = settings_.limits.max_depth - 1, // the event's own object is one
               .exchange = x.exchange,
               .queue = from.queue_name,
               .routing_key = x.routing_key,
               .prefetch_count = from.prefetch_count};
  return true;
}

const caf::expected<caf::message>& dispatcher_state::decode(const event_codec& codec) {
  auto known = std::find_if(decoded_.begin(), decoded_.end(),
                            [&](const decoded& x) { return x.codec == codec; });
  if (known != decoded_.end())
    return known->message;
  auto make = [&]() -> caf::expected<caf::message> {
    if (!codec.name.empty() && codec.name != received_.name)
      return make_error(ec::unexpected_event, fmt::format("event '{}' where '{}' is expected",
                                                          received_.name, codec.name));
    return codec.decode(received_);
  };
  auto message = make();
  if (!message && !checked_) {
    // The parts were found by a shortcut: look closely before giving up.
    auto parts = decoder_.check();
    checked_ = true;
    if (parts) {
      received_.name = parts->name;
      received_.data = parts->data;
      message = make();
    } else {
      message = std::move(parts.error());
    }
  }
  return decoded_.emplace_back(decoded{codec, std::move(message)}).message;
}

void dispatcher_state::hand_over(handler& to, const caf::message& what, std::uint64_t tag,
                                 unanswered& open) {
  ++to.counters.delivered;
  if (to.what.ack == ack_policy::on_dispatch) {
    self_->send(to.subscriber, what);
    return;
  }
  const auto id = to.counters.id;
  open.waiting.push_back(id);
  ++to.counters.in_flight;
  self_->request(to.subscriber, caf::infinite, what)
      .then([=, this, life = life_] { on_answer(life, tag, id, {}); },
            [=, this, life = life_](const caf::error& err) { on_answer(life, tag, id, err); });
}

void dispatcher_state::on_answer(std::uint64_t life, std::uint64_t tag, subscription_id id,
                                 const caf::error& err) {
  const auto failed = is_failure(err);
  if (auto i = handlers_.find(id); i != handlers_.end()) {
    auto& x = i->second;
    --x.counters.in_flight;
    ++(failed ? x.counters.failed : x.counters.succeeded);
    if (failed)
      log(log_level::warning,
          fmt::format("handler of {} failed, the message goes back to '{}': {}", describe(x.what),
                      consumers_[x.consumer].queue_name, text_of(err)));
  }
  if (life != life_)
    return;
  auto i = unanswered_.find(tag);
  if (i == unanswered_.end())
    return;
  auto& open = i->second;
  if (std::erase(open.waiting, id) == 0)
    return;
  open.failed = open.failed || failed;
  if (!open.waiting.empty())
    return;
  settle(tag, open.failed ? ack_window::verdict::requeue : ack_window::verdict::ack);
  unanswered_.erase(i);
}

void dispatcher_state::report_malformed(const amqp::delivery& x, const consumer& from,
                                        const caf::error& reason) {
  ++counters_.malformed;
  log(log_level::warning, fmt::format("queue '{}': message from {}:{} dropped: {}", from.queue_name,
                                      x.exchange, x.routing_key, text_of(reason)));
}

// Of no effect for deliveries of a no_ack consumer: the window never saw them.
void dispatcher_state::settle(std::uint64_t tag, ack_window::verdict what) {
  if (!window_.settle(tag, what))
    return;
  if (what == ack_window::verdict::requeue)
    ++counters_.requeued;
  schedule_flush();
}

// One message to ourselves behind those that wait already: many answers become
// few acknowledgements.
void dispatcher_state::schedule_flush() {
  if (flush_scheduled_)
    return;
  flush_scheduled_ = true;
  self_->send(self_, flush_atom_v);
}

void dispatcher_state::on_flush() {
  flush_scheduled_ = false;
  flush();
}

void dispatcher_state::flush() {
  auto settlements = window_.flush();
  if (!settlements.empty())
    self_->send(connection_, settle_batch{incarnation_, std::move(settlements)});
}

caf::result<center_status> dispatcher_state::status() {
  auto mine = counters_;
  for (auto& [id, x] : handlers_) {
    auto row = x.counters;
    row.exchange = x.what.exchange;
    row.routing_key = x.what.routing_key;
    if (auto i = consumers_.find(x.consumer); i != consumers_.end())
      row.queue = i->second.queue_name.empty() ? i->second.queue : i->second.queue_name;
    mine.handlers.push_back(std::move(row));
  }
  auto promise = self_->make_response_promise<center_status>();
  self_->request(supervisor_, caf::infinite, status_atom_v)
      .then(
          [promise, mine](supervisor_status& x) mutable {
            promise.deliver(center_status{std::move(x), std::move(mine)});
          },
          [promise](caf::error& err) mutable { promise.deliver(std::move(err)); });
  return promise;
}

void dispatcher_state::stop() {
  for (auto& [id, x] : handlers_)
    if (x.promise.pending())
      x.promise.deliver(make_error(ec::shutting_down, "the event center is stopping"));
  self_->quit(caf::exit_reason::user_shutdown);
}

caf::behavior dispatcher(caf::stateful_actor<dispatcher_state>* self, dispatcher_settings settings,
                         caf::actor supervisor) {
  auto& state = self->state;
  state.init(std::move(settings), std::move(supervisor));
  self->set_down_handler([&state](caf::down_msg& x) { state.on_subscriber_down(x.source); });
  return {
      [&state](delivery_batch& x) { state.on_deliveries(x); },
      [&state](flush_atom) { state.on_flush(); },
      [&state](subscribe_atom, subscription& what, caf::actor& subscriber) {
        return state.subscribe(std::move(what), std::move(subscriber));
      },
      [&state](unsubscribe_atom, subscription_id id) { return state.unsubscribe(id); },
      [&state](const consumer_state& x) { state.on_consumer_state(x); },
      [&state](const consumers_lost& x) { state.on_consumers_lost(x); },
      [&state](status_atom) { return state.status(); },
      [&state](stop_atom) { state.stop(); },
  };
}

} // namespace actors
