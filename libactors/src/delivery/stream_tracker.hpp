#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "actors/stream_events.hpp"
#include "amqp/transport.hpp"
#include "delivery/sequence_set.hpp"

namespace actors {

/// What a strategy is told ahead of a message.
using stream_notice = std::variant<stream_restarted, stream_gap>;

/// Adds a notice to those that wait to be told. A gap that begins where the last
/// one ends widens it, and of too many the oldest go: they say no more than that
/// much is missing.
void append(std::vector<stream_notice>& out, stream_notice x);

/// How much a tracker remembers, each at least 1. Beyond that no message is
/// lost: it is fresh. What was handled is remembered as ranges of numbers, of 16 bytes
/// each: a stream of which everything comes is one, however long it is, and each hole
/// (what was lost, or another consumer of the queue took) begins one more.
struct stream_limits {
  /// Ranges of one publisher of a stream. Beyond them the oldest eighth is forgotten.
  std::size_t max_ranges = 10'000;
  /// Ranges of all streams. Beyond them the stream that is silent for longest is.
  std::size_t max_ranges_in_all = 1'000'000;
  /// Streams; one more displaces the one that is silent for longest.
  std::size_t max_streams = 10'000;
  /// Publishers of one stream, those with the highest epochs.
  std::size_t max_epochs = 64;

  bool operator==(const stream_limits&) const = default;
};

/// Tells for each message of a subscription whether it was handled before, and
/// what is missing ahead of it. Each publisher of a stream is followed by
/// itself, as several may take turns. A plain value:
///
///     unknown -- arrived --> in hand -- handled --> handled
///        ^                      |
///        +------- failed -------+
class stream_tracker {
public:
  using time_point = std::chrono::steady_clock::time_point;

  explicit stream_tracker(stream_limits limits = {}) noexcept;

  stream_tracker(stream_tracker&&) = default;
  stream_tracker& operator=(stream_tracker&&) = default;

  enum class verdict : std::uint8_t {
    /// To be handled; it is in hand from now on.
    fresh,
    /// A copy of a message that has been handled.
    handled,
    /// A copy of a message that is in hand: needed only if that one fails.
    in_hand,
  };

  struct arrival {
    verdict outcome = verdict::fresh;
    /// To be told ahead of the message, in order.
    std::vector<stream_notice> before;
  };

  /// A message arrives. Without a position it is always fresh. The first
  /// message of a stream opens no gap; that of a newer epoch does, since its
  /// publisher counts from 1. An older epoch than the first one seen is another
  /// publisher that was there before: it opens none.
  arrival arrived(std::string_view exchange, std::string_view routing_key,
                  const std::optional<amqp::stream_position>& position, time_point now);

  /// A message that was in hand has been handled.
  void handled(std::string_view exchange, std::string_view routing_key,
               const std::optional<amqp::stream_position>& position);

  /// A message that was in hand has not been handled: a copy is fresh.
  void failed(std::string_view exchange, std::string_view routing_key,
              const std::optional<amqp::stream_position>& position);

  /// The streams that have been silent for `max_age` or longer and were not
  /// told yet, the longest silence first.
  std::vector<stream_stale> stale(time_point now, std::chrono::milliseconds max_age);

  /// How many ranges were forgotten, as there were too many.
  std::uint64_t forgotten() const noexcept {
    return forgotten_;
  }

  /// How many streams are followed.
  std::size_t size() const noexcept {
    return streams_.size();
  }

private:
  /// One publisher's part of a stream.
  struct track {
    std::uint64_t epoch = 0;
    std::uint64_t highest = 0;
    sequence_set in_hand;
    sequence_set handled;
  };

  struct stream {
    std::string exchange;
    std::string routing_key;
    /// Descending by epoch.
    std::vector<track> tracks;
    /// The highest that ever spoke.
    std::uint64_t newest_epoch = 0;
    time_point last_spoke;
    bool told_stale = false;
  };

  struct stream_name {
    std::string_view exchange;
    std::string_view routing_key;

    bool operator==(const stream_name&) const = default;
  };

  struct name_hash {
    std::size_t operator()(const stream_name& x) const noexcept {
      const std::hash<std::string_view> hash;
      return hash(x.exchange) * 31 + hash(x.routing_key);
    }
  };

  stream& touch(const stream_name& name, time_point now);
  track* find_track(const stream_name& name, const std::optional<amqp::stream_position>& position);
  static track* find_track(stream& x, std::uint64_t epoch) noexcept;
  /// None, if too many newer publishers are followed.
  track* add_track(stream& x, const amqp::stream_position& first, std::vector<stream_notice>& out);
  void bound_ranges(track& x);
  void forget_oldest_stream();

  stream_limits limits_;
  /// Of `track::handled`, of all streams.
  std::size_t ranges_ = 0;
  std::uint64_t forgotten_ = 0;
  /// The one that is silent for longest comes first.
  std::list<stream> streams_;
  /// The names are those of `streams_`.
  std::unordered_map<stream_name, std::list<stream>::iterator, name_hash> by_name_;
};

} // namespace actors
