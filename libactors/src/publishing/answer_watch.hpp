#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "publishing/outbox.hpp"

namespace actors {

/// Watches by repeated looks whether the broker answers the messages of a link. A state that is
/// the same at two looks counts as unchanged between them. An `answer_watch` is a plain value.
///
/// The broker can forget an answer for good, and a queue that takes a message without an answer
/// holds up everything behind that message. So a link is *silent* when nothing was answered for a
/// short time although messages to several exchanges wait; another link then shows whether the
/// whole broker stands still. If only one exchange waits, the limit is the longer
/// `outbox::patience`.
class answer_watch {
public:
  using time_point = outbox::time_point;

  /// How long a link may be silent at first. The limit grows each time, because the broker may be
  /// just slow. After `silence_is_past` without a silent link the first limit applies again.
  static constexpr std::chrono::milliseconds first_limit{750};
  static constexpr std::chrono::seconds silence_is_past{60};

  /// The time between two looks.
  static constexpr std::chrono::milliseconds interval{250};

  /// `longest` is the largest limit of a silence.
  explicit answer_watch(std::chrono::milliseconds longest = first_limit) : longest_(longest) {
    // nop
  }

  /// The state of the link and of the other link.
  struct surroundings {
    /// Whether messages may leave by the link.
    bool is_open = false;
    /// Whether leaving the link for another one could help.
    bool may_leave = false;
    /// How many answers came by the other link.
    std::uint64_t answers_of_other = 0;
  };

  /// Takes a look. Returns whether a silence of the link has just ended.
  bool look(const outbox& messages, time_point now, const surroundings& around);

  bool is_silent() const noexcept {
    return is_silent_;
  }

  /// The start of the time without answers, and the limit of that time.
  time_point silent_since() const noexcept {
    return silent_since_;
  }

  std::chrono::milliseconds limit() const noexcept {
    return limit_;
  }

  /// Whether the same message has been the oldest in flight for at least `limit`.
  bool has_waited(std::chrono::milliseconds limit, time_point now) const noexcept {
    return now - oldest_since_ >= limit;
  }

  /// Whether the other link got answers since `silent_since`.
  bool other_is_answered(std::uint64_t answers_of_other) const noexcept {
    return answers_of_other != answers_of_other_;
  }

  /// Notes that the link is left. `hung_again` tells whether the culprit is an exchange that hung
  /// lately; it is unset if the culprit is unknown.
  void leave(time_point now, std::optional<bool> hung_again);

private:
  /// Doubles the limit if the link recovered without being left: the link was just slow.
  void end_silence(time_point now);
  void double_limit();

  std::chrono::milliseconds longest_;
  /// The send number of the oldest message in flight at the last look, 0 for none, and the time
  /// since when it has been the oldest.
  std::uint64_t oldest_ = 0;
  time_point oldest_since_;
  /// The start of the time in which nothing was answered although several exchanges wait, and
  /// the counts of answers by this link and by the other one.
  time_point silent_since_;
  std::uint64_t answers_ = 0;
  std::uint64_t answers_of_other_ = 0;
  std::chrono::milliseconds limit_ = first_limit;
  /// The last time that the link was left, or turned out to be slow.
  time_point left_at_;
  bool is_silent_ = false;
  /// Whether the link was left because of the present silence.
  bool was_left_ = false;
};

} // namespace actors
