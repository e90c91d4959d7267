#pragma once

#include <cstdint>

namespace actors {

/// How far an event center's links have stopped.
enum class stop_stage : std::uint8_t {
  none,
  /// What waits to be published may still get away.
  draining,
  /// The links close.
  closing,
  over,
};

/// How the links of an event center end: what waits to be published is given some time, then
/// they are given some to close in good order. A plain value that sends nothing:
///
///     none --begin--> draining --(nothing waits, or deadline)--> closing
///                                         over <--(closed, or deadline)--+
class stop_sequence {
public:
  /// What is to be done now.
  enum class step : std::uint8_t {
    none,
    /// The links that are left are to be closed; there is a deadline for that.
    close_links,
    /// It is over: whoever waits for it is to be told.
    finish,
  };

  stop_stage stage() const noexcept {
    return stage_;
  }

  bool has_begun() const noexcept {
    return stage_ != stop_stage::none;
  }

  /// Gives back whether it begins: it does so once.
  bool begin() noexcept;

  /// Whether nothing waits to be published, and no link is there, may be different by now.
  step go_on(bool drained, bool closed) noexcept;

  /// The time of a stage is up. It may be over already, then that is of no effect.
  step on_deadline(stop_stage of) noexcept;

private:
  step end_stage() noexcept;

  stop_stage stage_ = stop_stage::none;
};

} // namespace actors
