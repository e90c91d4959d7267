#include "amqp/unconfirmed_bytes.hpp"

#include <algorithm>
#include <utility>

namespace actors::amqp {

namespace {

/// The number of answered entries that are kept before they are erased together.
constexpr std::size_t spent_entries = 1024;

} // namespace

void unconfirmed_bytes::add(std::uint64_t id, std::size_t size) {
  total_ += size;
  if (entries_.empty() || id > entries_.back().id) {
    entries_.push_back({id, size});
    return;
  }
  auto i = find(id);
  if (i->id != id)
    entries_.insert(i, {id, size});
  else // the publication is sent again
    total_ -= std::exchange(i->size, size);
}

std::vector<unconfirmed_bytes::entry>::iterator unconfirmed_bytes::find(std::uint64_t id) {
  const auto begin = entries_.begin() + static_cast<std::ptrdiff_t>(first_);
  return std::lower_bound(begin, entries_.end(), id, [](const entry& known, std::uint64_t wanted) {
    return known.id < wanted;
  });
}

void unconfirmed_bytes::answered(std::uint64_t id) {
  const auto i = find(id);
  if (i == entries_.end() || i->id != id)
    return;
  total_ -= std::exchange(i->size, 0);
  while (first_ < entries_.size() && entries_[first_].size == 0)
    ++first_;
  if (first_ == entries_.size())
    clear();
  else if (first_ >= spent_entries && first_ > entries_.size() / 2) {
    entries_.erase(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
}

void unconfirmed_bytes::clear() noexcept {
  entries_.clear();
  first_ = 0;
  total_ = 0;
}

} // namespace actors::amqp
