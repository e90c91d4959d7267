#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/behavior.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/response_promise.hpp>
#include <caf/stateful_actor.hpp>

#include "actors/event_center.hpp"
#include "market_data/feed.hpp"
#include "market_data/progress_bar.hpp"

namespace market_data {

struct publish_settings {
  /// How much faster than the feed's own clock; 0 is as fast as possible.
  double speed = 1.0;
  /// How many publications may wait for their answer.
  std::size_t window = 1'000;
  /// Ends after so many events; 0 is all.
  std::uint64_t count = 0;
  /// Ends after this time; 0 is never.
  std::chrono::milliseconds limit{0};
  /// Shows progress on standard error, as for a terminal or not.
  enum class progress { none, lines, bar } show = progress::none;
};

struct stream_totals {
  std::uint64_t published = 0;
  std::uint64_t confirmed = 0;
  std::uint64_t failed = 0;
};

/// What became of a feed.
struct publish_report {
  stream_totals all;
  /// By "Exchange:routing_key".
  std::map<std::string, stream_totals> by_stream;
  /// What the feed passed over, by what it was.
  std::map<std::string, std::uint64_t> skipped;
  /// From the first event to the last answer.
  double seconds = 0;
  /// Why the feed ended early; empty if it did not.
  std::string feed_error;
  /// The first reason why an event failed.
  std::string publish_error;
};

struct publisher_state {
  explicit publisher_state(caf::stateful_actor<publisher_state>* self);

  void advance();
  bool fetch();
  void publish();
  void settle(stream_totals& stream, std::uint64_t stream_totals::*outcome);
  void end(std::optional<std::chrono::milliseconds> patience);
  void finish();
  void show_progress(bool last);
  std::optional<double> progress() const;

  caf::stateful_actor<publisher_state>* self;
  actors::event_center center;
  std::unique_ptr<feed> source;
  publish_settings settings;

  publish_report report;
  std::optional<timed_event> upcoming;
  /// The feed's time of its first event, and ours.
  std::optional<std::chrono::nanoseconds> feed_start;
  progress_bar::clock::time_point start;
  std::uint64_t outstanding = 0;
  bool waiting = false;
  bool ended = false;
  bool finished = false;
  std::optional<progress_bar> bar;
  caf::response_promise promise;

  static inline const char* name = "publisher";
};

/// Publishes a feed at its pace, never with more than a window of unanswered
/// publications, and counts every answer.
///
/// | message | answer |
/// | --- | --- |
/// | get_atom | `publish_report`, when everything is answered; then it ends |
/// | stop_atom | nothing; it ends the feed and waits a moment for the answers |
caf::behavior publisher(caf::stateful_actor<publisher_state>* self, actors::event_center center,
                        std::unique_ptr<feed> source, publish_settings settings);

} // namespace market_data

template <>
struct caf::allowed_unsafe_message_type<market_data::publish_report> : std::true_type {};
