#include "amqp/memory/queue.hpp"

#include <algorithm>
#include <limits>

namespace actors::amqp::memory {

namespace {

/// The share of its limit to which a quorum queue must fall before it accepts messages again.
constexpr double low_level = 0.8;

bool is_at_most(std::size_t x, const std::optional<std::size_t>& limit, double part) noexcept {
  return !limit || x <= static_cast<std::size_t>(static_cast<double>(*limit) * part);
}

} // namespace

properties properties_of(const handed_message& handed) {
  auto result = handed.message.content->properties;
  if (handed.message.returns > 0)
    set_field(result.headers, "x-delivery-count", handed.message.returns);
  if (handed.offset)
    set_field(result.headers, "x-stream-offset", static_cast<std::int64_t>(*handed.offset));
  return result;
}

queue_state::queue_state(queue wanted, link* owner, time_point now,
                         const memory_semantics& semantics)
    : what_(std::move(wanted)),
      rules_(rules_of(what_)),
      counts_releases_(semantics.counts_releases),
      knows_limits_(semantics.delivery_limit.has_value()),
      owner_(owner),
      next_place_ahead_(std::numeric_limits<std::int64_t>::min()),
      last_use_(now) {
  if (is(queue_kind::stream))
    log_.emplace(rules_.max_length_bytes);
  if (!rules_.delivery_limit)
    rules_.delivery_limit = semantics.delivery_limit;
  else if (*rules_.delivery_limit < 0 && knows_limits_)
    rules_.delivery_limit.reset();
}

// -- messages ---------------------------------------------------------------------

bool queue_state::is_over(std::size_t messages, std::size_t bytes) const noexcept {
  return !is_at_most(messages, rules_.max_length, 1)
         || !is_at_most(bytes, rules_.max_length_bytes, 1);
}

bool queue_state::refuses(std::size_t size) const noexcept {
  if (rules_.overflow == overflow_policy::drop_head)
    return false;
  return is(queue_kind::quorum) ? is_refusing_ : is_over(ready_.size() + 1, ready_bytes_ + size);
}

void queue_state::update_refusal() noexcept {
  if (is_over(ready_.size(), ready_bytes_))
    is_refusing_ = true;
  else if (is_at_most(ready_.size(), rules_.max_length, low_level)
           && is_at_most(ready_bytes_, rules_.max_length_bytes, low_level))
    is_refusing_ = false;
}

void queue_state::push(message_ptr content, time_point now) {
  if (log_)
    return log_->append(std::move(content), now);
  ready_bytes_ += content->size();
  queued_message added;
  added.content = std::move(content);
  added.place = next_place_++;
  if (rules_.message_ttl)
    added.expires = now + *rules_.message_ttl;
  if (const auto own = added.content->properties.expiration; own.count() > 0)
    added.expires = std::min(added.expires, now + own);
  ready_.push_back(std::move(added));
  update_refusal();
}

queued_message queue_state::take_first() {
  auto result = std::move(ready_.front());
  ready_.pop_front();
  ready_bytes_ -= result.content->size();
  update_refusal();
  return result;
}

std::optional<handed_message> queue_state::hand_out() {
  if (!log_ && ready_.empty())
    return std::nullopt;
  auto i = std::find_if(subscribers_.begin(), subscribers_.end(), [this](auto& x) {
    return x.can_take() && (!log_ || x.position < log_->next());
  });
  if (i == subscribers_.end())
    return std::nullopt;
  subscribers_.splice(subscribers_.end(), subscribers_, i);
  auto& to = subscribers_.back();
  if (!to.spec.no_ack) {
    --to.credit;
    ++unacked_;
  }
  if (!log_)
    return handed_message{&to, take_first(), std::nullopt};
  auto offset = std::max(to.position, log_->first());
  to.position = offset + 1;
  queued_message read;
  read.content = log_->at(offset);
  return handed_message{&to, std::move(read), offset};
}

bool queue_state::put_back(queued_message& returned, comes_back why) {
  if (log_)
    return true;
  returned.redelivered = true;
  if (is(queue_kind::quorum)) {
    returned.returns += why != comes_back::released || counts_releases_ ? 1 : 0;
    if (rules_.delivery_limit && returned.returns > *rules_.delivery_limit)
      return false;
    // Without a limit, RabbitMQ 3.10 appends a message that a consumer returns to the queue's
    // log.
    const auto appends = why != comes_back::lost && !rules_.delivery_limit && !knows_limits_;
    returned.place = appends ? next_place_++ : next_place_ahead_++;
  }
  auto place = std::lower_bound(ready_.begin(), ready_.end(), returned,
                                [](auto& a, auto& b) { return a.place < b.place; });
  ready_bytes_ += returned.content->size();
  ready_.insert(place, std::move(returned));
  update_refusal();
  return true;
}

std::optional<queued_message> queue_state::take_expired(time_point now) {
  if (ready_.empty() || ready_.front().expires > now)
    return std::nullopt;
  return take_first();
}

std::optional<queued_message> queue_state::take_excess() {
  if (log_ || ready_.empty() || rules_.overflow != overflow_policy::drop_head
      || !is_over(ready_.size(), ready_bytes_))
    return std::nullopt;
  return take_first();
}

void queue_state::restart(time_point now) {
  if (is(queue_kind::classic)) {
    std::erase_if(ready_, [](auto& x) { return !x.content->properties.persistent; });
    ready_bytes_ = 0;
    for (auto& x : ready_)
      ready_bytes_ += x.content->size();
  }
  touch(now);
}

// -- consumers --------------------------------------------------------------------

bool queue_state::has_exclusive_subscriber() const noexcept {
  return std::any_of(subscribers_.begin(), subscribers_.end(),
                     [](auto& x) { return x.spec.exclusive; });
}

void queue_state::add(subscriber x) {
  subscribers_.push_back(std::move(x));
}

bool queue_state::remove(const link* owner, consumer_id id, time_point now) {
  auto removed =
      std::erase_if(subscribers_, [&](auto& x) { return x.owner == owner && x.spec.id == id; });
  touch(now);
  return removed > 0;
}

std::size_t queue_state::remove_all(time_point now) {
  auto result = subscribers_.size();
  subscribers_.clear();
  touch(now);
  return result;
}

void queue_state::settled(const link* owner, consumer_id id) {
  --unacked_;
  for (auto& x : subscribers_)
    if (x.owner == owner && x.spec.id == id)
      ++x.credit;
}

// -- time -------------------------------------------------------------------------

void queue_state::touch(time_point now) noexcept {
  last_use_ = now;
}

bool queue_state::is_abandoned(time_point now) const noexcept {
  return rules_.expires && subscribers_.empty() && now >= last_use_ + *rules_.expires;
}

time_point queue_state::deadline() const noexcept {
  auto result = ready_.empty() ? never : ready_.front().expires;
  if (rules_.expires && subscribers_.empty())
    result = std::min(result, last_use_ + *rules_.expires);
  return result;
}

} // namespace actors::amqp::memory
