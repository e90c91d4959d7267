#include "actors/dispatcher.hpp"

#include <algorithm>

#include <caf/sec.hpp>
#include <fmt/core.h>

#include "actors/error.hpp"
#include "actors/logging.hpp"

namespace actors {

namespace {

/// Before a message goes back to its queue for another time.
constexpr auto requeue_pause = std::chrono::seconds{1};

using verdict = ack_window::verdict;

/// What a handler's answer means for its message.
verdict verdict_of(const caf::error& x) noexcept {
  // CAF reports an answer that `then` has no handler for as an error of its
  // own; to us any answer means that the handler has returned.
  if (!x || x == caf::sec::unexpected_response)
    return verdict::ack;
  // A strategy without a handler for the event has none the next time either.
  return x == caf::sec::unexpected_message ? verdict::reject : verdict::requeue;
}

/// The verdict on a message that two handlers answered differently: whoever
/// needs it again gets it again.
verdict stronger(verdict x, verdict y) noexcept {
  if (x == verdict::requeue || y == verdict::requeue)
    return verdict::requeue;
  return x == verdict::reject ? x : y;
}

/// The lowest bit of a consumer's id says whether it is one without
/// acknowledgements, so that what a former consumer still delivers is settled
/// rightly by its id alone.
amqp::consumer_id make_consumer_id(std::uint32_t count, bool no_ack) noexcept {
  return count << 1 | (no_ack ? 1 : 0);
}

bool is_no_ack(amqp::consumer_id id) noexcept {
  return (id & 1) != 0;
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
  auto queue = queue_name(settings_, what);
  if (auto err = refusal(what, subscriber, queue)) {
    log(log_level::error, "not subscribed: " + text_of(err));
    return err;
  }
  auto known = by_queue_.find(queue);
  const auto consumer_id =
      known != by_queue_.end() ? known->second : add_consumer(what, std::move(queue));
  auto& from = consumers_.at(consumer_id);

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
  auto& theirs = subscribers_[x.subscriber.address()];
  if (theirs.empty())
    self_->monitor(x.subscriber);
  theirs.insert(id);

  if (from.bound.contains({x.what.exchange, from.queue, x.what.routing_key}))
    establish(x, from);
  else
    want(consumer_id, from, x.what);
  return caf::delegated<subscribed>{};
}

caf::error dispatcher_state::refusal(const subscription& what, const caf::actor& subscriber,
                                     const std::string& queue) const {
  if (!subscriber)
    return make_error(ec::invalid_argument,
                      fmt::format("subscription {}: its strategy is no actor", describe(what)));
  if (auto err = check(what))
    return err;
  if (queue.size() > 255)
    return make_error(ec::invalid_argument,
                      fmt::format("queue '{}': a name has at most 255 bytes", queue));
  auto known = by_queue_.find(queue);
  if (known == by_queue_.end())
    return {};
  auto& x = consumers_.at(known->second);
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
  const auto id = make_consumer_id(++last_consumer_, what.no_ack);
  if (!queue.empty())
    by_queue_.emplace(queue, id);
  auto& x = consumers_[id];
  x.queue_name = queue;
  x.queue = std::move(queue);
  x.prefetch_count = what.prefetch_count;
  x.no_ack = what.no_ack;
  return id;
}

void dispatcher_state::want(amqp::consumer_id id, const consumer& x, const subscription& what) {
  if (busy_queues_.contains(x.queue))
    return; // until `on_retired`
  wanted_consumer wanted;
  wanted.consumer = {
      .id = id, .queue = x.queue, .prefetch_count = x.prefetch_count, .no_ack = x.no_ack};
  wanted.queue = queue_for(what, x.queue);
  wanted.binding = {what.exchange, x.queue, what.routing_key};
  self_->send(supervisor_, std::move(wanted));
}

caf::result<void> dispatcher_state::unsubscribe(subscription_id id) {
  auto i = handlers_.find(id);
  if (i == handlers_.end() || i->second.removed)
    return make_error(ec::not_subscribed, fmt::format("there is no subscription {}", id));
  remove(id, make_error(ec::not_subscribed, "unsubscribed before the broker answered"));
  return caf::unit;
}

// Takes a subscription out of the table. What its subscriber has not answered
// yet may still be answered, or its end be noticed.
void dispatcher_state::remove(subscription_id id, const caf::error& reason) {
  auto& x = handlers_.at(id);
  x.removed = true;
  if (x.promise.pending())
    x.promise.deliver(reason);
  auto& from = consumers_.at(x.consumer);
  from.handlers.erase(id, x.what.exchange, x.what.routing_key);
  std::erase(from.members, id);
  if (from.handlers.empty()) {
    retire(x.consumer, from);
    by_queue_.erase(from.queue);
    consumers_.erase(x.consumer);
  } else if (from.handlers.bound_to(x.what.exchange, x.what.routing_key).empty()) {
    amqp::binding unused{x.what.exchange, from.queue, x.what.routing_key};
    from.bound.erase(unused);
    self_->send(supervisor_, unwant_atom_v, x.consumer, std::move(unused));
  }
  if (x.counters.in_flight == 0)
    forget(id);
}

void dispatcher_state::retire(amqp::consumer_id id, const consumer& x) {
  if (busy_queues_.contains(x.queue))
    return; // it was never wanted
  // What its strategies leave behind goes back ahead of all that follows.
  std::erase_if(paused_, [&](auto& entry) {
    if (entry.second == id)
      settle(entry.first, verdict::requeue);
    return entry.second == id;
  });
  flush();
  self_->send(supervisor_, unwant_atom_v, id);
  if (x.queue.empty())
    return;
  retiring_.emplace(id, x.queue);
  busy_queues_.insert(x.queue);
}

// All that a former consumer delivered has been seen: the next may start.
void dispatcher_state::on_retired(amqp::consumer_id id) {
  auto queue = std::move(retiring_.extract(id).mapped());
  busy_queues_.erase(queue);
  flush();
  auto next = by_queue_.find(queue);
  if (next == by_queue_.end())
    return;
  auto& x = consumers_.at(next->second);
  for (auto member : x.members)
    want(next->second, x, handlers_.at(member).what);
}

void dispatcher_state::forget(subscription_id id) {
  auto x = handlers_.find(id);
  auto who = subscribers_.find(x->second.subscriber.address());
  if (who != subscribers_.end() && who->second.erase(id) > 0 && who->second.empty()) {
    self_->demonitor(x->second.subscriber);
    subscribers_.erase(who);
  }
  handlers_.erase(x);
}

void dispatcher_state::on_subscriber_down(const caf::actor_addr& who) {
  auto i = subscribers_.find(who);
  if (i == subscribers_.end())
    return;
  const auto gone = std::move(i->second);
  subscribers_.erase(i);
  requeue_unanswered(gone);
  log(log_level::info, fmt::format("a subscriber ended: {} subscriptions removed", gone.size()));
  for (auto id : gone) {
    auto& x = handlers_.at(id);
    x.counters.in_flight = 0;
    if (x.removed)
      forget(id);
    else
      remove(id, make_error(ec::not_subscribed, "the strategy ended before the broker answered"));
  }
}

// What a strategy had not answered when it ended goes back to its queue.
void dispatcher_state::requeue_unanswered(const std::set<subscription_id>& gone) {
  if (std::none_of(gone.begin(), gone.end(),
                   [this](auto id) { return handlers_.at(id).counters.in_flight > 0; }))
    return;
  for (auto& [tag, open] : unanswered_) {
    if (std::erase_if(open.waiting, [&](auto id) { return gone.contains(id); }) == 0)
      continue;
    open.outcome = verdict::requeue;
    if (open.waiting.empty())
      settle(tag, open.outcome);
  }
  std::erase_if(unanswered_, [](auto& entry) { return entry.second.waiting.empty(); });
}

void dispatcher_state::on_consumer_state(const consumer_state& x) {
  if (x.error.code == ec::consumer_cancelled && retiring_.contains(x.id))
    return on_retired(x.id);
  auto i = consumers_.find(x.id);
  if (i == consumers_.end())
    return;
  auto& from = i->second;
  // A copy: a failure removes from the lists.
  const auto about = x.binding ? from.handlers.bound_to(x.binding->exchange, x.binding->routing_key)
                               : from.members;
  if (!x.error) {
    from.queue_name = x.queue;
    if (x.binding)
      from.bound.insert(*x.binding);
    for (auto id : about)
      establish(handlers_.at(id), from);
    return;
  }
  if (x.binding)
    from.bound.erase(*x.binding);
  else
    from.bound.clear();
  for (auto id : about)
    fail(id, x.error);
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
  auto& x = handlers_.at(id);
  x.counters.consuming = false;
  if (x.established)
    return;
  log(log_level::error, fmt::format("not subscribed: {}: {}", describe(x.what), reason.text));
  remove(id, make_error(reason));
}

void dispatcher_state::on_consumers_lost(const consumers_lost&) {
  for (auto& [id, x] : consumers_)
    x.bound.clear();
  for (auto& [id, x] : handlers_)
    x.counters.consuming = false;
}

// -- deliveries -------------------------------------------------------------------------

void dispatcher_state::on_deliveries(delivery_batch& batch) {
  open_window(batch);
  now_ = self_->clock().now();
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
  paused_.clear();
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
    return settle(x.tag, verdict::ack);
  }
  if (!open_body(x, from))
    return settle(x.tag, verdict::reject);
  unanswered open;
  open.consumer = x.consumer;
  open.pause = x.redelivered;
  caf::error malformed;
  auto readable = false;
  for (auto id : ids) {
    auto& to = handlers_.at(id);
    auto& message = decode(to.what.codec);
    if (!message) {
      ++to.counters.failed;
      follow_stream(to, x);
      malformed = message.error();
      continue;
    }
    readable = true;
    dispatch_to(to, x, *message, open);
  }
  if (malformed)
    report_malformed(x, from, malformed);
  if (!readable)
    open.outcome = stronger(open.outcome, verdict::reject);
  if (!open.waiting.empty())
    unanswered_.emplace(x.tag, std::move(open));
  else
    finish(x.tag, open);
}

void dispatcher_state::dispatch_to(handler& to, const amqp::delivery& x, const caf::message& what,
                                   unanswered& open) {
  switch (follow_stream(to, x)) {
  case stream_tracker::verdict::handled:
    ++to.counters.duplicates;
    break;
  case stream_tracker::verdict::in_hand:
    // Needed only if the first one fails: ask again later.
    open.outcome = verdict::requeue;
    open.pause = true;
    break;
  case stream_tracker::verdict::fresh:
    if (wants(to, what))
      hand_over(to, x, what, open);
    else
      to.streams.handled(x.exchange, x.routing_key, x.properties.position);
  }
}

stream_tracker::verdict dispatcher_state::follow_stream(handler& to, const amqp::delivery& x) {
  if (!x.properties.position || !(to.what.deduplicate || to.what.stream_events))
    return stream_tracker::verdict::fresh;
  auto arrival = to.streams.arrived(x.exchange, x.routing_key, x.properties.position, now_);
  if (to.what.stream_events)
    for (auto& notice : arrival.before)
      std::visit([&](auto& y) { self_->send(to.subscriber, std::move(y)); }, notice);
  return to.what.deduplicate ? arrival.what : stream_tracker::verdict::fresh;
}

// A consumer that was cancelled while this was on its way: back to its queue,
// for others.
void dispatcher_state::settle_unknown(const amqp::delivery& x) {
  ++counters_.unmatched;
  if (is_no_ack(x.consumer))
    return;
  window_.open(x.tag);
  settle(x.tag, verdict::requeue);
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

bool dispatcher_state::wants(const handler& x, const caf::message& what) {
  auto& type = x.what.kline_type;
  return type.empty() || x.what.codec.kline_type(what) == type;
}

void dispatcher_state::hand_over(handler& to, const amqp::delivery& x, const caf::message& what,
                                 unanswered& open) {
  ++to.counters.delivered;
  if (to.what.ack == ack_policy::on_dispatch) {
    self_->send(to.subscriber, what);
    to.streams.handled(x.exchange, x.routing_key, x.properties.position);
    return;
  }
  const auto id = to.counters.id;
  open.waiting.push_back(id);
  ++to.counters.in_flight;
  origin_ptr from;
  if (x.properties.position)
    from = std::make_shared<const origin>(origin{x.exchange, x.routing_key, x.properties.position});
  self_->request(to.subscriber, caf::infinite, what)
      .then([=, this, life = life_, tag = x.tag] { on_answer(life, tag, id, from, {}); },
            [=, this, life = life_, tag = x.tag](const caf::error& err) {
              on_answer(life, tag, id, from, err);
            });
}

void dispatcher_state::on_answer(std::uint64_t life, std::uint64_t tag, subscription_id id,
                                 const origin_ptr& from, const caf::error& err) {
  if (auto x = handlers_.find(id); x != handlers_.end()) {
    auto& streams = x->second.streams;
    if (from && verdict_of(err) == verdict::requeue)
      streams.failed(from->exchange, from->routing_key, from->position);
    else if (from)
      streams.handled(from->exchange, from->routing_key, from->position);
    count(x->second, err);
  }
  if (life != life_)
    return;
  auto i = unanswered_.find(tag);
  if (i == unanswered_.end())
    return;
  auto& open = i->second;
  if (std::erase(open.waiting, id) == 0)
    return;
  open.outcome = stronger(open.outcome, verdict_of(err));
  if (!open.waiting.empty())
    return;
  finish(tag, open);
  unanswered_.erase(i);
}

// What goes back again and again goes back after a pause, or it would keep the
// broker, us and the log busy.
void dispatcher_state::finish(std::uint64_t tag, const unanswered& x) {
  if (x.outcome != verdict::requeue || !x.pause)
    return settle(tag, x.outcome);
  paused_.emplace(tag, x.consumer);
  self_->delayed_send(self_, requeue_pause, requeue_atom_v, life_, tag);
}

void dispatcher_state::on_requeue(std::uint64_t life, std::uint64_t tag) {
  if (life == life_ && paused_.erase(tag) > 0)
    settle(tag, verdict::requeue);
}

void dispatcher_state::count(handler& x, const caf::error& err) {
  --x.counters.in_flight;
  const auto outcome = verdict_of(err);
  ++(outcome == verdict::ack ? x.counters.succeeded : x.counters.failed);
  if (outcome == verdict::requeue)
    log(log_level::warning, fmt::format("handler of {} failed, the message goes back to its queue: "
                                        "{}",
                                        describe(x.what), text_of(err)));
  else if (outcome == verdict::reject)
    log(log_level::error, fmt::format("the strategy that subscribed {} has no handler for its "
                                      "events: message dropped",
                                      describe(x.what)));
  if (x.removed && x.counters.in_flight == 0)
    forget(x.counters.id);
}

void dispatcher_state::report_malformed(const amqp::delivery& x, const consumer& from,
                                        const caf::error& reason) {
  ++counters_.malformed;
  log(log_level::warning, fmt::format("queue '{}': message from {}:{} dropped: {}", from.queue_name,
                                      x.exchange, x.routing_key, text_of(reason)));
}

// A handler on dispatch failed: nothing depends on its answer, but somebody may
// want to know.
void dispatcher_state::on_unasked_error(const caf::error& reason) {
  auto who = subscribers_.find(caf::actor_cast<caf::actor_addr>(self_->current_sender()));
  if (who == subscribers_.end())
    return;
  for (auto id : who->second) {
    auto& x = handlers_.at(id);
    if (x.what.ack != ack_policy::on_dispatch)
      continue;
    ++x.counters.failed;
    log(log_level::warning,
        fmt::format("handler of {} failed: {}", describe(x.what), text_of(reason)));
    return;
  }
}

// Of no effect for deliveries of a no_ack consumer: the window never saw them.
void dispatcher_state::settle(std::uint64_t tag, verdict what) {
  if (!window_.settle(tag, what))
    return;
  if (what == verdict::requeue)
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
    if (x.removed)
      continue;
    auto row = x.counters;
    row.exchange = x.what.exchange;
    row.routing_key = x.what.routing_key;
    row.queue = consumers_.at(x.consumer).queue_name;
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
  // CAF sends back what a handler returns, even if the event was no request: an
  // error would end us by default, and a value would be complained about.
  self->set_error_handler([&state](caf::error& x) { state.on_unasked_error(x); });
  self->set_default_handler(caf::drop);
  return {
      [&state](delivery_batch& x) { state.on_deliveries(x); },
      [&state](flush_atom) { state.on_flush(); },
      [&state](requeue_atom, std::uint64_t life, std::uint64_t tag) {
        state.on_requeue(life, tag);
      },
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
