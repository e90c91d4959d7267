#include "delivery/open_deliveries.hpp"

#include <algorithm>
#include <iterator>

#include "delivery/consumer_ids.hpp"

namespace actors {

namespace {

using verdict = ack_window::verdict;

int strength(verdict x) noexcept {
  switch (x) {
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

/// Takes the entries out that `which` says so of, after it.
template <class Map, class Which>
void take_if(Map& xs, Which which) {
  for (auto i = xs.begin(); i != xs.end();)
    i = which(*i) ? xs.erase(i) : std::next(i);
}

bool is_done(const open_delivery& x) noexcept {
  return x.waiting.empty() && x.following.empty();
}

/// Takes those out who have ended. Whether nobody has the delivery any more.
bool give_back(open_delivery& x, const std::set<subscription_id>& gone) {
  const auto has_gone = [&](auto id) { return gone.contains(id); };
  if (std::erase_if(x.waiting, has_gone) + std::erase_if(x.following, has_gone) == 0)
    return false;
  if (x.error.empty())
    x.plan = nullptr;
  x.outcome = stronger(x.outcome, verdict::release);
  return is_done(x);
}

} // namespace

verdict stronger(verdict x, verdict y) noexcept {
  return strength(x) >= strength(y) ? x : y;
}

// -- generations ---------------------------------------------------------------------------------

std::uint64_t open_deliveries::enter(const amqp::link_sender_ptr& out, std::uint32_t generation) {
  auto is_it = [&](const channel_generation& x) {
    return x.out == out && x.generation == generation;
  };
  if (current_ && is_it(*current_))
    return current_->id;
  drop_idle();
  auto known =
      std::find_if(generations_.begin(), generations_.end(), [&](auto& x) { return is_it(*x); });
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
  if (auto* x = find(where))
    x->consumers.insert(id);
}

// Should the channel live on after all, what the consumer had there is given back, which
// is of no effect on one that is gone. Hence its generation does not end here: an acknowledgement
// of what comes next must not cover what others still have in hand.
void open_deliveries::lost(amqp::consumer_id id) {
  auto entry = life_of_.extract(id);
  auto* where = entry ? find(entry.mapped()) : nullptr;
  if (!where)
    return;
  take_if(where->waiting, [&](auto& y) {
    if (y.second.consumer != id)
      return false;
    where->window.settle(y.first, reads_stream(id) ? verdict::ack : verdict::release);
    hanging_.emplace(delivery_key{where->id, y.first}, std::move(y.second));
    return true;
  });
  for (auto& [tag, x] : where->paused)
    if (x.consumer == id)
      where->window.settle(tag, verdict::release);
  std::erase_if(where->paused, [&](auto& y) { return y.second.consumer == id; });
  for (auto& [tag, x] : where->moving)
    if (x.consumer == id)
      where->window.settle(tag, verdict::release);
  std::erase_if(where->moving, [&](auto& y) { return y.second.consumer == id; });
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
  for (auto& x : generations_)
    if (x->id == id)
      return x.get();
  return nullptr;
}

// Nobody tells when a channel is gone for good.
void open_deliveries::drop_idle() {
  std::erase_if(generations_, [&](auto& x) {
    const auto idle = is_idle(*x);
    if (idle && current_ == x.get())
      current_ = nullptr;
    return idle;
  });
}

// -- deliveries ------------------------------------------------------------------------------

bool open_deliveries::settle(delivery_key key, amqp::consumer_id id, verdict what) {
  auto* where = find(key.generation);
  return where && where->window.settle(key.tag, reads_stream(id) ? verdict::ack : what);
}

void open_deliveries::wait(delivery_key key, open_delivery x) {
  x.asked = x.waiting.size();
  if (auto* where = find(key.generation))
    where->waiting.emplace(key.tag, std::move(x));
}

std::optional<open_delivery> open_deliveries::answered(delivery_key key, subscription_id id,
                                                       verdict what, std::string error) {
  return take(key, &open_delivery::waiting, id, what, std::move(error));
}

void open_deliveries::unwanted(delivery_key key) {
  if (auto* x = find_open(key))
    ++x->unwanted;
}

open_delivery* open_deliveries::find_open(delivery_key key) noexcept {
  auto* where = find(key.generation);
  if (where == nullptr)
    return nullptr;
  auto i = where->waiting.find(key.tag);
  return i != where->waiting.end() ? &i->second : nullptr;
}

std::optional<open_delivery> open_deliveries::followed(delivery_key copy, subscription_id id,
                                                       verdict what, std::string error) {
  return take(copy, &open_delivery::following, id, what, std::move(error));
}

std::optional<open_delivery> open_deliveries::take(delivery_key key, waiting_list list,
                                                   subscription_id id, verdict what,
                                                   std::string error) {
  auto note = [&](open_delivery& x) {
    if (std::erase(x.*list, id) == 0)
      return false;
    x.outcome = stronger(x.outcome, what);
    if (!error.empty())
      x.error = std::move(error);
    return is_done(x);
  };
  std::optional<open_delivery> result;
  if (auto* where = find(key.generation)) {
    auto i = where->waiting.find(key.tag);
    if (i != where->waiting.end() && note(i->second)) {
      result = std::move(i->second);
      where->waiting.erase(i);
    }
  }
  // In vain, if it was found above: what hangs is open in no generation.
  if (auto i = hanging_.find(key); i != hanging_.end() && note(i->second))
    hanging_.erase(i);
  return result;
}

std::vector<std::pair<delivery_key, open_delivery>>
open_deliveries::give_back(const std::set<subscription_id>& gone) {
  std::vector<std::pair<delivery_key, open_delivery>> result;
  for (auto& where : generations_)
    take_if(where->waiting, [&](auto& y) {
      const auto done = actors::give_back(y.second, gone);
      if (done)
        result.emplace_back(delivery_key{where->id, y.first}, std::move(y.second));
      return done;
    });
  take_if(hanging_, [&](auto& y) { return actors::give_back(y.second, gone); });
  std::erase_if(followers_, [&](auto& y) { return gone.contains(std::get<0>(y.first)); });
  return result;
}

void open_deliveries::pause(delivery_key key, paused_delivery x) {
  if (auto* where = find(key.generation))
    where->paused.emplace(key.tag, std::move(x));
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
    std::erase_if(where->paused, [&](auto& y) {
      if (y.second.consumer == id)
        settle({where->id, y.first}, id, y.second.outcome);
      return y.second.consumer == id;
    });
}

void open_deliveries::move(delivery_key key, moving_delivery x) {
  if (auto* where = find(key.generation))
    where->moving.emplace(key.tag, x);
}

std::optional<open_deliveries::moving_delivery> open_deliveries::moved(delivery_key key) {
  auto* where = find(key.generation);
  if (!where)
    return std::nullopt;
  auto entry = where->moving.extract(key.tag);
  return entry ? std::optional{entry.mapped()} : std::nullopt;
}

// -- copies of what hangs -----------------------------------------------------------------------

open_deliveries::in_hand open_deliveries::in_hand_of(subscription_id id, const message_origin& x) {
  const auto position = x.position.value_or(amqp::stream_position{});
  return {id, x.exchange, x.routing_key, position.epoch, position.sequence};
}

void open_deliveries::follow(subscription_id id, const message_origin& of, delivery_key copy) {
  followers_.emplace(in_hand_of(id, of), copy);
  if (auto* x = find_open(copy); x != nullptr && std::erase(x->waiting, id) > 0)
    x->following.push_back(id);
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
  auto look = [&](delivery_key key, const open_delivery& x) {
    for (auto id : x.waiting) {
      const auto limit = limit_of(id);
      if (limit.count() > 0 && now - x.since >= limit)
        result.push_back({key, id, x.from});
    }
  };
  // The first of a message ahead of its copies.
  for (auto& [key, x] : hanging_)
    look(key, x);
  for (auto& where : generations_)
    for (auto& [tag, x] : where->waiting)
      look({where->id, tag}, x);
  return result;
}

std::optional<std::int64_t> open_deliveries::first_offset(amqp::consumer_id id) const {
  std::optional<std::int64_t> result;
  for (auto& where : generations_)
    for (auto& [tag, x] : where->waiting)
      if (x.consumer == id && x.offset && (!result || *x.offset < *result))
        result = x.offset;
  return result;
}

std::size_t open_deliveries::unfinished() const noexcept {
  auto result = hanging_.size();
  for (auto& x : generations_)
    result += x->waiting.size() + x->moving.size();
  return result;
}

bool open_deliveries::awaits_answers() const noexcept {
  return !hanging_.empty() || std::any_of(generations_.begin(), generations_.end(), [](auto& x) {
    return !x->waiting.empty();
  });
}

} // namespace actors
