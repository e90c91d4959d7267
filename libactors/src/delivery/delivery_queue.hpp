#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "actors/policies.hpp"
#include "actors/status.hpp"

namespace actors {

/// The messages that wait for one slow handler, in order. Never more than the
/// limit, whatever comes. A plain value.
template <class T>
class delivery_queue {
public:
  explicit delivery_queue(delivery_limits limits = {}) noexcept : limits_(limits) {
    limits_.max_waiting = std::max<std::size_t>(limits_.max_waiting, 1);
  }

  // Entries point at their keys, which a move leaves in place.
  delivery_queue(delivery_queue&&) noexcept = default;
  delivery_queue& operator=(delivery_queue&&) noexcept = default;

  /// Takes a message. Gives back the one that is dropped for it, itself
  /// perhaps.
  std::optional<T> push(std::string_view key, T x) {
    if (limits_.policy == delivery_policy::latest_per_key)
      return push_latest(key, std::move(x));
    std::optional<T> dropped;
    if (full() && limits_.policy == delivery_policy::drop_newest) {
      ++drops_.newest;
      dropped = std::move(x);
      return dropped;
    }
    if (full())
      dropped = drop_oldest();
    entries_.push_back({std::move(x), nullptr});
    return dropped;
  }

  /// Removes the first message.
  std::optional<T> pop() {
    if (entries_.empty())
      return std::nullopt;
    return remove_first();
  }

  std::size_t size() const noexcept {
    return entries_.size();
  }

  bool empty() const noexcept {
    return entries_.empty();
  }

  const delivery_drops& drops() const noexcept {
    return drops_;
  }

private:
  struct entry {
    T item;
    /// In `places_`; none without `latest_per_key`.
    const std::string* key = nullptr;
  };

  struct key_hash {
    using is_transparent = void;

    std::size_t operator()(std::string_view x) const noexcept {
      return std::hash<std::string_view>{}(x);
    }
  };

  bool full() const noexcept {
    return entries_.size() >= limits_.max_waiting;
  }

  std::optional<T> push_latest(std::string_view key, T x) {
    std::optional<T> dropped;
    if (auto i = places_.find(key); i != places_.end()) {
      ++drops_.replaced;
      dropped = std::exchange(entries_[i->second - removed_].item, std::move(x));
      return dropped;
    }
    if (full())
      dropped = drop_oldest();
    auto i = places_.emplace(key, removed_ + entries_.size()).first;
    entries_.push_back({std::move(x), &i->first});
    return dropped;
  }

  T drop_oldest() {
    ++drops_.oldest;
    return remove_first();
  }

  T remove_first() {
    auto result = std::move(entries_.front());
    entries_.pop_front();
    ++removed_;
    if (result.key)
      places_.erase(places_.find(*result.key));
    return std::move(result.item);
  }

  delivery_limits limits_;
  std::deque<entry> entries_;
  /// How many left at the front: a place counts from the first one ever.
  std::uint64_t removed_ = 0;
  /// Keys to places.
  std::unordered_map<std::string, std::uint64_t, key_hash, std::equal_to<>> places_;
  delivery_drops drops_;
};

} // namespace actors
