#include "actors/outbox.hpp"

#include <algorithm>

namespace actors {

namespace {

std::size_t size_of(const amqp::publication& x) noexcept {
  return (x.body ? x.body->size() : 0) + x.exchange.size() + x.routing_key.size();
}

} // namespace

std::string_view to_string(overflow_policy x) noexcept {
  switch (x) {
  case overflow_policy::reject:
    return "reject";
  case overflow_policy::drop_oldest:
    return "drop_oldest";
  case overflow_policy::drop_newest:
    return "drop_newest";
  }
  return "?";
}

outbox::outbox(outbox_limits limits) noexcept : limits_(limits) {
  // nop
}

std::vector<outbox::dropped> outbox::push(amqp::publication x) {
  const auto size = size_of(x);
  if (full_for(size) && !may_make_room(size))
    return {
        {x.id, limits_.overflow == overflow_policy::reject ? ec::outbox_full : ec::outbox_dropped}};
  std::vector<dropped> result;
  while (full_for(size))
    drop_oldest(result);
  bytes_ += size;
  entries_.push_back({std::move(x)});
  return result;
}

std::vector<amqp::publication> outbox::take() {
  std::vector<amqp::publication> result;
  for (; waiting() > 0 && unconfirmed() < limits_.window; ++sent_) {
    result.push_back(entries_[sent_].message);
    bytes_on_wire_ += size_of(result.back());
  }
  return result;
}

bool outbox::settle(std::uint64_t id) {
  const auto last = entries_.begin() + static_cast<std::ptrdiff_t>(sent_);
  auto i = std::lower_bound(entries_.begin(), last, id,
                            [](const entry& x, std::uint64_t y) { return x.message.id < y; });
  if (i == last || i->message.id != id || i->settled)
    return false;
  const auto size = size_of(i->message);
  bytes_ -= size;
  bytes_on_wire_ -= size;
  i->message.body.reset();
  i->settled = true;
  ++settled_;
  trim();
  return true;
}

void outbox::rewind() noexcept {
  const auto last = entries_.begin() + static_cast<std::ptrdiff_t>(sent_);
  entries_.erase(std::remove_if(entries_.begin(), last, [](const entry& x) { return x.settled; }),
                 last);
  sent_ = settled_ = bytes_on_wire_ = 0;
}

const amqp::publication* outbox::on_wire(std::string_view message_id) const noexcept {
  for (std::size_t i = 0; i < sent_; ++i)
    if (!entries_[i].settled && entries_[i].message.properties.message_id == message_id)
      return &entries_[i].message;
  return nullptr;
}

const amqp::publication* outbox::oldest_on_wire() const noexcept {
  // `trim` keeps settled messages away from the front.
  return sent_ > 0 ? &entries_.front().message : nullptr;
}

std::vector<std::uint64_t> outbox::clear() {
  std::vector<std::uint64_t> result;
  for (auto& x : entries_)
    if (!x.settled)
      result.push_back(x.message.id);
  entries_.clear();
  sent_ = settled_ = bytes_ = bytes_on_wire_ = 0;
  return result;
}

bool outbox::full_for(std::size_t size) const noexcept {
  return entries_.size() - settled_ >= limits_.max_messages || bytes_ + size > limits_.max_bytes;
}

// Without room beside the messages on the wire nothing is gained by a drop.
bool outbox::may_make_room(std::size_t size) const noexcept {
  return limits_.overflow == overflow_policy::drop_oldest && unconfirmed() < limits_.max_messages
         && bytes_on_wire_ + size <= limits_.max_bytes;
}

void outbox::drop_oldest(std::vector<dropped>& out) {
  auto i = entries_.begin() + static_cast<std::ptrdiff_t>(sent_);
  bytes_ -= size_of(i->message);
  out.push_back({i->message.id, ec::outbox_dropped});
  entries_.erase(i);
}

// Confirmations may come out of order; entries leave from the front only.
void outbox::trim() {
  while (sent_ > 0 && entries_.front().settled) {
    entries_.pop_front();
    --sent_;
    --settled_;
  }
}

} // namespace actors
