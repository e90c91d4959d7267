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

/// A notice that a strategy gets ahead of a message.
using stream_notice = std::variant<stream_restarted, stream_gap>;

/// Appends a notice to the pending ones. A gap that begins where the last one ends widens it. At
/// most 100 notices are kept; the oldest are dropped, as further gaps only say that much is
/// missing.
void append(std::vector<stream_notice>& out, stream_notice notice);

/// The tracker's limits, each at least 1. A message beyond them is not lost: it counts as fresh.
/// Handled messages are remembered as ranges of numbers, of 16 bytes each: a complete stream is one
/// range, however long it is, and each hole (lost messages, or messages of another consumer of the
/// queue) begins one more.
struct stream_limits {
  /// Ranges of one publisher of a stream. Beyond them the oldest eighth is forgotten.
  std::size_t max_ranges = 10'000;
  /// Ranges of all streams. Beyond them the stream with the longest silence is forgotten.
  std::size_t max_ranges_in_all = 1'000'000;
  /// Streams. One more displaces the stream with the longest silence.
  std::size_t max_streams = 10'000;
  /// Publishers of one stream. Those with the highest epochs are kept.
  std::size_t max_epochs = 64;

  bool operator==(const stream_limits&) const = default;
};

/// Detects duplicates and gaps among the messages of a subscription, separately for each publisher
/// of a stream, as several may take turns. A plain value:
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
    /// The message is to be handled, and in hand from now on.
    fresh,
    /// The message is a copy of one that has been handled.
    handled,
    /// The message is a copy of one in hand, and needed only if that one fails.
    in_hand,
  };

  struct arrival {
    verdict outcome = verdict::fresh;
    /// Notices to send ahead of the message, in order.
    std::vector<stream_notice> before;
  };

  /// A message arrives. A message without a position is always fresh. The first message of a stream
  /// opens no gap; that of a newer epoch does, since its publisher counts from 1. An epoch older
  /// than the first one seen belongs to an earlier publisher, and opens none.
  arrival arrived(std::string_view exchange, std::string_view routing_key,
                  const std::optional<amqp::stream_position>& position, time_point now);

  /// A message in hand has been handled.
  void handled(std::string_view exchange, std::string_view routing_key,
               const std::optional<amqp::stream_position>& position);

  /// A message in hand has failed: its next copy is fresh.
  void failed(std::string_view exchange, std::string_view routing_key,
              const std::optional<amqp::stream_position>& position);

  /// Returns the streams that have been silent for `max_age` or longer and were not returned
  /// before, the longest silence first.
  std::vector<stream_stale> stale(time_point now, std::chrono::milliseconds max_age);

  /// The number of ranges forgotten because of the limits.
  std::uint64_t forgotten() const noexcept {
    return forgotten_;
  }

  /// The number of streams.
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
    /// The tracks, descending by epoch.
    std::vector<track> tracks;
    /// The highest epoch seen so far.
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
  static track* find_track(stream& from, std::uint64_t epoch) noexcept;
  /// Returns null if too many newer publishers are tracked.
  track* add_track(stream& from, const amqp::stream_position& first,
                   std::vector<stream_notice>& out);
  void bound_ranges(track& publisher);
  void forget_oldest_stream();

  stream_limits limits_;
  /// The number of ranges in `track::handled`, over all streams.
  std::size_t ranges_ = 0;
  std::uint64_t forgotten_ = 0;
  /// The stream with the longest silence comes first.
  std::list<stream> streams_;
  /// The keys view the names in `streams_`.
  std::unordered_map<stream_name, std::list<stream>::iterator, name_hash> by_name_;
};

} // namespace actors
