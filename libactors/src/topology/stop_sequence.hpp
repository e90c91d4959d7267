#pragma once

#include <cstdint>

namespace actors {

/// The stages in which an event center's links stop.
enum class stop_stage : std::uint8_t {
  none,
  /// Waiting publications may still be sent.
  draining,
  /// The links close.
  closing,
  over,
};

/// The end of an event center's links: waiting publications get some time, then the links get some
/// time to close in good order. A plain value that sends nothing:
///
///     none --begin--> draining --(nothing waits, or deadline)--> closing
///                                         over <--(closed, or deadline)--+
class stop_sequence {
public:
  /// The step to take now.
  enum class step : std::uint8_t {
    none,
    /// The remaining links are to be closed, within a deadline.
    close_links,
    /// The stop is over: its caller is to be told.
    finish,
  };

  stop_stage stage() const noexcept {
    return stage_;
  }

  bool has_begun() const noexcept {
    return stage_ != stop_stage::none;
  }

  /// Returns whether this call begins the stop: only the first one does.
  bool begin() noexcept;

  /// Looks again at the conditions. `drained`: no publication waits. `closed`: no link is left.
  step go_on(bool drained, bool closed) noexcept;

  /// The time of a stage is up. Of no effect if that stage is over already.
  step on_deadline(stop_stage of) noexcept;

private:
  step end_stage() noexcept;

  stop_stage stage_ = stop_stage::none;
};

} // namespace actors
