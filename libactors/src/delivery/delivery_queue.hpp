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

/// A bounded queue of the messages that wait for one slow handler, in order. A plain value.
template <class T>
class delivery_queue {
public:
  explicit delivery_queue(delivery_limits limits = {}) noexcept : limits_(limits) {
    limits_.max_waiting = std::max<std::size_t>(limits_.max_waiting, 1);
  }

  // Entries point at their keys, which a move leaves in place.
  delivery_queue(delivery_queue&&) noexcept = default;
  delivery_queue& operator=(delivery_queue&&) noexcept = default;

  /// Adds a message. Returns the message that the policy drops instead: an older one, or the new
  /// one itself.
  std::optional<T> push(std::string_view key, T message) {
    if (limits_.policy == delivery_policy::latest_per_key)
      return push_latest(key, std::move(message));
    std::optional<T> dropped;
    if (full() && limits_.policy == delivery_policy::drop_newest) {
      ++drops_.newest;
      dropped = std::move(message);
      return dropped;
    }
    if (full())
      dropped = drop_oldest();
    entries_.push_back({std::move(message), nullptr});
    return dropped;
  }

  /// Removes and returns the first message.
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
    /// Points into `places_`; null without `latest_per_key`.
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

  std::optional<T> push_latest(std::string_view key, T message) {
    std::optional<T> dropped;
    if (auto i = places_.find(key); i != places_.end()) {
      ++drops_.replaced;
      dropped = std::exchange(entries_[i->second - removed_].item, std::move(message));
      return dropped;
    }
    if (full())
      dropped = drop_oldest();
    auto i = places_.emplace(key, removed_ + entries_.size()).first;
    entries_.push_back({std::move(message), &i->first});
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
  /// The number of entries removed at the front; places count from the first entry ever.
  std::uint64_t removed_ = 0;
  /// The place of each key.
  std::unordered_map<std::string, std::uint64_t, key_hash, std::equal_to<>> places_;
  delivery_drops drops_;
};

} // namespace actors
