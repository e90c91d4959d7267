#include "relay/feeds.hpp"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include <caf/event_based_actor.hpp>
#include <caf/exit_reason.hpp>
#include <caf/response_promise.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>

#include "actors/error.hpp"
#include "amqp/wire_rules.hpp"
#include "center/messages.hpp"
#include "settings/feed.hpp"

namespace actors {

namespace {

// -- tags --------------------------------------------------------------------------------

// The delivery tags of feeds have the consumer's id in their upper bits.
constexpr int count_bits = 32;

constexpr std::uint64_t first_tag_of(amqp::consumer_id id) noexcept {
  return std::uint64_t{id} << count_bits;
}

constexpr amqp::consumer_id consumer_of(std::uint64_t tag) noexcept {
  return static_cast<amqp::consumer_id>(tag >> count_bits);
}

// -- the reader ----------------------------------------------------------------------------

struct feed_reader_state {
  /// A delivery whose sender waits until the host has taken it.
  struct open_mark {
    std::uint64_t tag = 0;
    caf::response_promise promise;
  };

  std::shared_ptr<amqp::link_listener> events;
  amqp::consumer_id id = 0;
  std::uint64_t count = 0;
  std::vector<amqp::delivery> batch;
  bool flush_scheduled = false;
  std::deque<open_mark> marks;
  /// The subscriptions by exchange and routing key; an id is unset until the answer comes.
  std::map<std::pair<std::string, std::string>, std::optional<subscription_id>> subscriptions;

  /// A request that is answered when all its bindings are.
  struct open_request {
    std::uint64_t answers = 0;
    failure error;
  };

  std::map<amqp::request_id, open_request> open;

  static inline const char* name = "feed_reader";
};

using feed_reader_actor = caf::stateful_actor<feed_reader_state>;

void take(feed_reader_actor* self, const amqp::delivery& delivery) {
  auto& state = self->state;
  auto& mine = state.batch.emplace_back(delivery);
  mine.consumer = state.id;
  mine.redelivered = false;
  mine.tag = first_tag_of(state.id) + ++state.count % (std::uint64_t{1} << count_bits);
  if (self->current_mailbox_element()->mid.is_request())
    state.marks.push_back({mine.tag, self->make_response_promise()});
  // The flush goes through the mailbox, so that deliveries already there join the batch.
  if (!std::exchange(state.flush_scheduled, true))
    self->send(self, flush_atom_v);
}

/// Handles that the host has taken all deliveries up to `tag`.
void taken(feed_reader_state& state, std::uint64_t tag) {
  // Tags wrap around, so a tag counts as later if it is less than half of the range ahead.
  const auto half = std::uint64_t{1} << (count_bits - 1);
  const auto is_behind = [&](std::uint64_t mark) { return (tag - mark) % (half * 2) < half; };
  while (!state.marks.empty() && is_behind(state.marks.front().tag)) {
    state.marks.front().promise.deliver(caf::unit);
    state.marks.pop_front();
  }
}

/// Notes that one of the request's bindings was made or refused.
void answer(feed_reader_state& state, amqp::request_id request, std::uint64_t bindings,
            failure error) {
  auto& asked = state.open[request];
  if (error && !asked.error)
    asked.error = std::move(error);
  if (++asked.answers < bindings)
    return;
  amqp::reply reply;
  reply.id = request;
  reply.error = std::move(asked.error);
  state.open.erase(request);
  state.events->replied(std::move(reply));
}

void subscribe(feed_reader_actor* self, const event_center& center, const amqp::binding& binding,
               delivery_limits limits, amqp::request_id request, std::uint64_t bindings) {
  auto& state = self->state;
  auto key = std::pair{binding.exchange, binding.routing_key};
  if (!state.subscriptions.try_emplace(key).second)
    return answer(state, request, bindings, {});
  center.subscribe(self, feed_subscription(binding, limits))
      .then(
          [=, &state](const subscribed& made) {
            auto i = state.subscriptions.find(key);
            if (i != state.subscriptions.end() && !i->second)
              i->second = made.id;
            else // the host has cancelled the binding meanwhile
              center.unsubscribe(self, made.id).then([] {}, [](const caf::error&) {});
            answer(state, request, bindings, {});
          },
          [=, &state](const caf::error& err) {
            auto i = state.subscriptions.find(key);
            if (i != state.subscriptions.end() && !i->second)
              state.subscriptions.erase(i);
            answer(state, request, bindings, to_failure(err));
          });
}

void unsubscribe(feed_reader_actor* self, const event_center& center,
                 const amqp::binding& binding) {
  auto entry = self->state.subscriptions.extract({binding.exchange, binding.routing_key});
  if (entry && entry.mapped())
    center.unsubscribe(self, *entry.mapped()).then([] {}, [](const caf::error&) {});
}

/// Reads a feed for a host's consumer. The reader is a strategy of the relay's event center, and
/// acts as a consumer towards the host. Deliveries for a slow host wait in the event center, by
/// the limits of the subscription.
///
/// | message | answer |
/// | --- | --- |
/// | subscribe_atom, binding, limits, request, count of bindings | the listener gets the reply |
/// | unsubscribe_atom, binding | |
/// | amqp::delivery | if a request: an empty response once the host has taken the delivery |
/// | requeue_atom, tag | none; the host has taken all deliveries up to this tag |
caf::behavior feed_reader(feed_reader_actor* self, const event_center& center,
                          std::shared_ptr<amqp::link_listener> events, amqp::consumer_id id) {
  auto& state = self->state;
  state.events = std::move(events);
  state.id = id;
  return {
      [self](const amqp::delivery& x) { take(self, x); },
      [&state](flush_atom) {
        state.flush_scheduled = false;
        state.events->delivered(feed_generation, std::exchange(state.batch, {}));
      },
      [&state](requeue_atom, std::uint64_t tag) { taken(state, tag); },
      [self, center](subscribe_atom, const amqp::binding& what, std::uint64_t policy,
                     std::uint64_t max_waiting, amqp::request_id request, std::uint64_t bindings) {
        subscribe(self, center, what,
                  {static_cast<delivery_policy>(policy), static_cast<std::size_t>(max_waiting)},
                  request, bindings);
      },
      [self, center](unsubscribe_atom, const amqp::binding& what) {
        unsubscribe(self, center, what);
      },
  };
}

// -- the link ------------------------------------------------------------------------------

/// A feed that a host has asked for.
struct feed {
  delivery_limits limits;
  std::vector<amqp::binding> bindings;
  /// The reader; null until the feed is consumed.
  caf::actor reader;
  amqp::consumer_id consumer = 0;
};

/// The readers of a link, by consumer; transport and sender share them.
using readers = std::unordered_map<amqp::consumer_id, caf::actor>;

class feeding_sender : public amqp::link_sender {
public:
  feeding_sender(amqp::link_sender_ptr link, std::shared_ptr<readers> feeds)
      : link_(std::move(link)), readers_(std::move(feeds)) {
    // nop
  }

  void publish(std::uint32_t generation, std::vector<amqp::publication> xs) override {
    link_->publish(generation, std::move(xs));
  }

  void settle(std::uint32_t generation, std::vector<amqp::settlement> xs) override {
    if (generation != feed_generation)
      return link_->settle(generation, std::move(xs));
    std::map<amqp::consumer_id, std::uint64_t> last;
    for (const auto& x : xs)
      last[consumer_of(x.tag)] = x.tag;
    for (auto [id, tag] : last)
      if (auto i = readers_->find(id); i != readers_->end())
        caf::anon_send(i->second, requeue_atom_v, tag);
  }

private:
  amqp::link_sender_ptr link_;
  std::shared_ptr<readers> readers_;
};

class feeding_transport : public amqp::transport {
public:
  feeding_transport(caf::actor_system& system, const event_center& center, amqp::transport_ptr link)
      : system_(system),
        center_(center),
        link_(std::move(link)),
        readers_(std::make_shared<readers>()),
        outlet_(std::make_shared<feeding_sender>(link_->out(), readers_)) {
    // nop
  }

  ~feeding_transport() override {
    while (!feeds_.empty())
      end(feeds_.begin()->first);
  }

  void connect(const amqp::endpoint& where, std::shared_ptr<amqp::link_listener> events) override {
    events_ = events;
    link_->connect(where, std::move(events));
  }

  // Requests of feeds never reach a broker, so invalid ones must be caught before they reach the
  // event center that all hosts share.
  void request(amqp::request_id id, amqp::operation what) override {
    if (auto problem = amqp::check(what))
      return refuse(id, std::move(problem));
    if (!std::visit([&](const auto& x) { return run(id, x); }, what))
      link_->request(id, std::move(what));
  }

  amqp::link_sender_ptr out() override {
    return outlet_;
  }

  bool has_thread() const noexcept override {
    return link_->has_thread();
  }

  void close() override {
    link_->close();
  }

private:
  // Each function returns whether the request is about a feed, and so is answered here.

  template <class Operation>
  bool run(amqp::request_id, const Operation&) {
    return false;
  }

  bool run(amqp::request_id id, const amqp::declare_queue& x) {
    auto known = feeds_.find(x.spec.name);
    if (known == feeds_.end()) {
      const auto limits = feed_limits(x.spec);
      if (!limits)
        return false;
      known = feeds_.emplace(x.spec.name, feed{*limits, {}, {}, 0}).first;
    }
    grant(id, x.spec.name, known->second.reader ? 1 : 0);
    return true;
  }

  bool run(amqp::request_id id, const amqp::delete_queue& x) {
    if (!feeds_.contains(x.name))
      return false;
    end(x.name);
    grant(id);
    return true;
  }

  bool run(amqp::request_id id, const amqp::bind_queue& x) {
    auto* to = find(x.spec.queue);
    if (!to)
      return false;
    const auto is_new =
        std::find(to->bindings.begin(), to->bindings.end(), x.spec) == to->bindings.end();
    if (is_new)
      to->bindings.push_back(x.spec);
    if (is_new && to->reader)
      subscribe(*to, x.spec, id, 1);
    else
      grant(id);
    return true;
  }

  bool run(amqp::request_id id, const amqp::unbind_queue& x) {
    auto* to = find(x.spec.queue);
    if (!to)
      return false;
    std::erase(to->bindings, x.spec);
    if (to->reader)
      caf::anon_send(to->reader, unsubscribe_atom_v, x.spec);
    grant(id);
    return true;
  }

  bool run(amqp::request_id id, const amqp::start_consumer& x) {
    auto* to = find(x.spec.queue);
    if (!to)
      return false;
    if (to->bindings.empty()) {
      grant(id);
      return true;
    }
    if (!to->reader) {
      to->consumer = x.spec.id;
      to->reader = system_.spawn(feed_reader, center_, events_, x.spec.id);
      readers_->insert_or_assign(x.spec.id, to->reader);
    }
    // The host gets one reply for all bindings. After an error the host asks again.
    for (const auto& what : to->bindings)
      subscribe(*to, what, id, to->bindings.size());
    return true;
  }

  bool run(amqp::request_id id, const amqp::cancel_consumer& x) {
    for (auto& [name, to] : feeds_)
      if (to.reader && to.consumer == x.id) {
        end(std::string{name});
        grant(id);
        return true;
      }
    return false;
  }

  void grant(amqp::request_id id, std::string queue = {}, std::uint64_t consumers = 0) {
    amqp::reply x;
    x.id = id;
    x.queue = std::move(queue);
    x.consumers = consumers;
    events_->replied(std::move(x));
  }

  void refuse(amqp::request_id id, failure why) {
    amqp::reply x;
    x.id = id;
    x.error = std::move(why);
    events_->replied(std::move(x));
  }

  feed* find(const std::string& queue) {
    auto i = feeds_.find(queue);
    return i == feeds_.end() ? nullptr : &i->second;
  }

  void subscribe(const feed& to, const amqp::binding& what, amqp::request_id id,
                 std::uint64_t bindings) {
    caf::anon_send(to.reader, subscribe_atom_v, what, static_cast<std::uint64_t>(to.limits.policy),
                   std::uint64_t{to.limits.max_waiting}, id, bindings);
  }

  void end(const std::string& name) {
    auto entry = feeds_.extract(name);
    auto& x = entry.mapped();
    if (!x.reader)
      return;
    readers_->erase(x.consumer);
    caf::anon_send_exit(x.reader, caf::exit_reason::user_shutdown);
  }

  caf::actor_system& system_;
  event_center center_;
  amqp::transport_ptr link_;
  std::shared_ptr<amqp::link_listener> events_;
  std::unordered_map<std::string, feed> feeds_;
  std::shared_ptr<readers> readers_;
  std::shared_ptr<feeding_sender> outlet_;
};

} // namespace

amqp::transport_ptr make_feeding_transport(caf::actor_system& system, const event_center& center,
                                           amqp::transport_ptr link) {
  return std::make_unique<feeding_transport>(system, center, std::move(link));
}

} // namespace actors
