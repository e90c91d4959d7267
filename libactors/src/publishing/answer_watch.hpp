#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "publishing/outbox.hpp"

namespace actors {

/// Whether the broker answers what is sent by a link, as far as repeated looks tell: what is the
/// same at two looks has been so at least for the time between them. A plain value.
///
/// The broker can forget an answer for good, and a queue that takes a message without an answer
/// holds up whatever is behind it. So a link is *silent* when nothing was answered for a short
/// time though messages to other exchanges wait as well; whether the broker stands still,
/// another link shows. The oldest message alone has more patience (`outbox::patience`).
class answer_watch {
public:
  using time_point = outbox::time_point;

  /// How long a link may be silent, at first: longer each time, as it may be that the broker is
  /// slow. After the longer time without a silent link the next is left as early as the first.
  static constexpr std::chrono::milliseconds first_limit{750};
  static constexpr std::chrono::seconds silence_is_past{60};

  /// How often to look.
  static constexpr std::chrono::milliseconds interval{250};

  /// `longest` is that of silences.
  explicit answer_watch(std::chrono::milliseconds longest = first_limit) : longest_(longest) {
    // nop
  }

  /// What is to be known of the link and of its neighbour.
  struct surroundings {
    /// Whether messages may leave by it.
    bool is_open = false;
    /// Whether another link would be of any use.
    bool may_leave = false;
    /// How many answers came by the other link.
    std::uint64_t answers_of_other = 0;
  };

  /// Looks. Gives back whether it was silent and is so no longer.
  bool look(const outbox& x, time_point now, const surroundings& around);

  bool is_silent() const noexcept {
    return is_silent_;
  }

  /// Since when nothing is answered, and how long that may take.
  time_point silent_since() const noexcept {
    return silent_since_;
  }

  std::chrono::milliseconds limit() const noexcept {
    return limit_;
  }

  /// Whether the same message has been the oldest in flight for so long.
  bool has_waited(std::chrono::milliseconds limit, time_point now) const noexcept {
    return now - oldest_since_ >= limit;
  }

  /// Whether the other link was answered meanwhile.
  bool other_is_answered(std::uint64_t answers_of_other) const noexcept {
    return answers_of_other != answers_of_other_;
  }

  /// The link is left. `hung_again`: whether it hung on an exchange that did so lately, if it is
  /// known on which it hung.
  void leave(time_point now, std::optional<bool> hung_again);

private:
  /// If the link was not left it was slow: evidence is not looked for again so soon.
  void end_silence(time_point now);
  void double_limit();

  std::chrono::milliseconds longest_;
  /// The one that was the oldest in flight at the last look, 0 for none, and since when.
  std::uint64_t oldest_ = 0;
  time_point oldest_since_;
  /// Since when nothing was answered, though others than the exchange of the oldest wait; how
  /// many answers there were then, and how many by the other link.
  time_point silent_since_;
  std::uint64_t answers_ = 0;
  std::uint64_t answers_of_other_ = 0;
  std::chrono::milliseconds limit_ = first_limit;
  /// When the link was left, or was slow.
  time_point left_at_;
  bool is_silent_ = false;
  /// Whether the link was left for that.
  bool was_left_ = false;
};

} // namespace actors
