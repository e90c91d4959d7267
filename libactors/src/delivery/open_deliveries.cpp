#include "delivery/open_deliveries.hpp"

#include <algorithm>
#include <iterator>

#include "delivery/consumer_ids.hpp"

namespace actors {

namespace {

using verdict = ack_window::verdict;

int strength(verdict outcome) noexcept {
  switch (outcome) {
  case verdict::ack:
    return 0;
  case verdict::reject:
    return 1;
  case verdict::release:
    return 2;
  case verdict::requeue:
    return 3;
  }
  return 0;
}

/// Erases the entries for which `which` returns true; `which` may move from them.
template <class Map, class Which>
void take_if(Map& entries, Which which) {
  for (auto i = entries.begin(); i != entries.end();)
    i = which(*i) ? entries.erase(i) : std::next(i);
}

bool is_done(const open_delivery& x) noexcept {
  return x.waiting.empty() && x.following.empty();
}

/// Removes the ended subscriptions from a delivery. Returns whether nobody has the delivery any
/// more.
bool give_back(open_delivery& delivery, const std::set<subscription_id>& gone) {
  const auto has_gone = [&](auto id) { return gone.contains(id); };
  if (std::erase_if(delivery.waiting, has_gone) + std::erase_if(delivery.following, has_gone) == 0)
    return false;
  if (delivery.error.empty())
    delivery.plan = nullptr;
  delivery.outcome = stronger(delivery.outcome, verdict::release);
  return is_done(delivery);
}

} // namespace

verdict stronger(verdict one, verdict other) noexcept {
  return strength(one) >= strength(other) ? one : other;
}

// -- generations ---------------------------------------------------------------------------------

std::uint64_t open_deliveries::enter(const amqp::link_sender_ptr& out, std::uint32_t generation) {
  auto is_same = [&](const channel_generation& channel) {
    return channel.out == out && channel.generation == generation;
  };
  if (current_ && is_same(*current_))
    return current_->id;
  drop_idle();
  auto known = std::find_if(generations_.begin(), generations_.end(),
                            [&](auto& channel) { return is_same(*channel); });
  if (known != generations_.end()) {
    current_ = known->get();
    return current_->id;
  }
  auto& added = generations_.emplace_back(std::make_unique<channel_generation>());
  added->id = ++last_life_;
  added->out = out;
  added->generation = generation;
  current_ = added.get();
  return current_->id;
}

void open_deliveries::began(amqp::consumer_id id, std::uint64_t where) {
  auto known = life_of_.find(id);
  if (known != life_of_.end() && known->second == where)
    return;
  if (known != life_of_.end())
    lost(id);
  life_of_.insert_or_assign(id, where);
  if (auto* channel = find(where))
    channel->consumers.insert(id);
}

// Should the channel live on, these releases give the consumer's deliveries back; on a channel that
// is gone they are of no effect. The generation does not end here: an acknowledgement of later
// deliveries must not cover those that other consumers still have in hand.
void open_deliveries::lost(amqp::consumer_id id) {
  auto entry = life_of_.extract(id);
  auto* where = entry ? find(entry.mapped()) : nullptr;
  if (!where)
    return;
  take_if(where->waiting, [&](auto& open) {
    if (open.second.consumer != id)
      return false;
    where->window.settle(open.first, reads_stream(id) ? verdict::ack : verdict::release);
    hanging_.emplace(delivery_key{where->id, open.first}, std::move(open.second));
    return true;
  });
  for (auto& [tag, paused] : where->paused)
    if (paused.consumer == id)
      where->window.settle(tag, verdict::release);
  std::erase_if(where->paused, [&](auto& open) { return open.second.consumer == id; });
  for (auto& [tag, moving] : where->moving)
    if (moving.consumer == id)
      where->window.settle(tag, verdict::release);
  std::erase_if(where->moving, [&](auto& open) { return open.second.consumer == id; });
  where->consumers.erase(id);
}

void open_deliveries::retired(amqp::consumer_id id) {
  auto entry = life_of_.extract(id);
  if (auto* where = entry ? find(entry.mapped()) : nullptr)
    where->consumers.erase(id);
}

bool open_deliveries::is_idle(const channel_generation& x) noexcept {
  return x.consumers.empty() && x.waiting.empty() && x.paused.empty() && x.moving.empty()
         && x.window.empty();
}

open_deliveries::channel_generation* open_deliveries::find(std::uint64_t id) noexcept {
  if (current_ && current_->id == id)
    return current_;
  for (auto& channel : generations_)
    if (channel->id == id)
      return channel.get();
  return nullptr;
}

// No event tells that a channel is gone for good.
void open_deliveries::drop_idle() {
  std::erase_if(generations_, [&](auto& channel) {
    const auto idle = is_idle(*channel);
    if (idle && current_ == channel.get())
      current_ = nullptr;
    return idle;
  });
}

// -- deliveries ------------------------------------------------------------------------------

bool open_deliveries::settle(delivery_key key, amqp::consumer_id id, verdict outcome) {
  auto* where = find(key.generation);
  return where && where->window.settle(key.tag, reads_stream(id) ? verdict::ack : outcome);
}

void open_deliveries::wait(delivery_key key, open_delivery delivery) {
  delivery.asked = delivery.waiting.size();
  if (auto* where = find(key.generation))
    where->waiting.emplace(key.tag, std::move(delivery));
}

std::optional<open_delivery> open_deliveries::answered(delivery_key key, subscription_id id,
                                                       verdict outcome, std::string error) {
  return take(key, &open_delivery::waiting, id, outcome, std::move(error));
}

void open_deliveries::unwanted(delivery_key key) {
  if (auto* delivery = find_open(key))
    ++delivery->unwanted;
}

open_delivery* open_deliveries::find_open(delivery_key key) noexcept {
  auto* where = find(key.generation);
  if (where == nullptr)
    return nullptr;
  auto i = where->waiting.find(key.tag);
  return i != where->waiting.end() ? &i->second : nullptr;
}

std::optional<open_delivery> open_deliveries::followed(delivery_key copy, subscription_id id,
                                                       verdict outcome, std::string error) {
  return take(copy, &open_delivery::following, id, outcome, std::move(error));
}

std::optional<open_delivery> open_deliveries::take(delivery_key key, waiting_list list,
                                                   subscription_id id, verdict outcome,
                                                   std::string error) {
  auto note = [&](open_delivery& delivery) {
    if (std::erase(delivery.*list, id) == 0)
      return false;
    delivery.outcome = stronger(delivery.outcome, outcome);
    if (!error.empty())
      delivery.error = std::move(error);
    return is_done(delivery);
  };
  std::optional<open_delivery> result;
  if (auto* where = find(key.generation)) {
    auto i = where->waiting.find(key.tag);
    if (i != where->waiting.end() && note(i->second)) {
      result = std::move(i->second);
      where->waiting.erase(i);
    }
  }
  // The second look finds nothing if the first one did: a hanging delivery is open in no
  // generation.
  if (auto i = hanging_.find(key); i != hanging_.end() && note(i->second))
    hanging_.erase(i);
  return result;
}

std::vector<std::pair<delivery_key, open_delivery>>
open_deliveries::give_back(const std::set<subscription_id>& gone) {
  std::vector<std::pair<delivery_key, open_delivery>> result;
  for (auto& where : generations_)
    take_if(where->waiting, [&](auto& open) {
      const auto done = actors::give_back(open.second, gone);
      if (done)
        result.emplace_back(delivery_key{where->id, open.first}, std::move(open.second));
      return done;
    });
  take_if(hanging_, [&](auto& y) { return actors::give_back(y.second, gone); });
  std::erase_if(followers_, [&](auto& y) { return gone.contains(std::get<0>(y.first)); });
  return result;
}

void open_deliveries::pause(delivery_key key, paused_delivery paused) {
  if (auto* where = find(key.generation))
    where->paused.emplace(key.tag, std::move(paused));
}

std::optional<open_deliveries::paused_delivery> open_deliveries::resume(delivery_key key) {
  auto* where = find(key.generation);
  if (!where)
    return std::nullopt;
  auto entry = where->paused.extract(key.tag);
  return entry ? std::optional{std::move(entry.mapped())} : std::nullopt;
}

void open_deliveries::resume_all(amqp::consumer_id id) {
  for (auto& where : generations_)
    std::erase_if(where->paused, [&](auto& paused) {
      if (paused.second.consumer == id)
        settle({where->id, paused.first}, id, paused.second.outcome);
      return paused.second.consumer == id;
    });
}

std::size_t open_deliveries::uncopied(amqp::consumer_id id) const noexcept {
  std::size_t result = 0;
  for (auto& where : generations_)
    for (auto& [tag, paused] : where->paused)
      result += paused.uncopied && paused.consumer == id ? 1 : 0;
  return result;
}

void open_deliveries::move(delivery_key key, moving_delivery moving) {
  if (auto* where = find(key.generation))
    where->moving.emplace(key.tag, moving);
}

std::optional<open_deliveries::moving_delivery> open_deliveries::moved(delivery_key key) {
  auto* where = find(key.generation);
  if (!where)
    return std::nullopt;
  auto entry = where->moving.extract(key.tag);
  return entry ? std::optional{entry.mapped()} : std::nullopt;
}

// -- copies of hanging deliveries -------------------------------------------------------------

open_deliveries::in_hand open_deliveries::in_hand_of(subscription_id id,
                                                     const message_origin& origin) {
  const auto position = origin.position.value_or(amqp::stream_position{});
  return {id, origin.exchange, origin.routing_key, position.epoch, position.sequence};
}

void open_deliveries::follow(subscription_id id, const message_origin& of, delivery_key copy) {
  followers_.emplace(in_hand_of(id, of), copy);
  if (auto* delivery = find_open(copy);
      delivery != nullptr && std::erase(delivery->waiting, id) > 0)
    delivery->following.push_back(id);
}

std::vector<delivery_key> open_deliveries::take_followers(subscription_id id,
                                                          const message_origin& of) {
  std::vector<delivery_key> result;
  if (followers_.empty())
    return result;
  const auto [first, last] = followers_.equal_range(in_hand_of(id, of));
  for (auto i = first; i != last; ++i)
    result.push_back(i->second);
  followers_.erase(first, last);
  return result;
}

// -- looking --------------------------------------------------------------------------------------

std::vector<open_deliveries::late_answer> open_deliveries::late(
    time_point now,
    const std::function<std::chrono::milliseconds(subscription_id)>& limit_of) const {
  std::vector<late_answer> result;
  auto look = [&](delivery_key key, const open_delivery& delivery) {
    for (auto id : delivery.waiting) {
      const auto limit = limit_of(id);
      if (limit.count() > 0 && now - delivery.since >= limit)
        result.push_back({key, id, delivery.from});
    }
  };
  // The first delivery of a message comes ahead of its copies.
  for (auto& [key, delivery] : hanging_)
    look(key, delivery);
  for (auto& where : generations_)
    for (auto& [tag, delivery] : where->waiting)
      look({where->id, tag}, delivery);
  return result;
}

std::optional<std::int64_t> open_deliveries::first_offset(amqp::consumer_id id) const {
  std::optional<std::int64_t> result;
  for (auto& where : generations_)
    for (auto& [tag, delivery] : where->waiting)
      if (delivery.consumer == id && delivery.offset && (!result || *delivery.offset < *result))
        result = delivery.offset;
  return result;
}

std::size_t open_deliveries::unfinished() const noexcept {
  auto result = hanging_.size();
  for (auto& channel : generations_)
    result += channel->waiting.size() + channel->moving.size();
  return result;
}

bool open_deliveries::awaits_answers() const noexcept {
  return !hanging_.empty() || std::any_of(generations_.begin(), generations_.end(), [](auto& x) {
    return !x->waiting.empty();
  });
}

} // namespace actors
