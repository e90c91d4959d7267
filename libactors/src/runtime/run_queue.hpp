#pragma once

namespace actors {

/// Whom the events of a link have woken. A link with a thread runs them in it when it
/// has nothing else to do, as it costs more to wake another thread than most of them
/// need; they may need long all the same, as another thread serves the link meanwhile.
/// Calls may come from several threads at once.
class run_queue {
public:
  virtual ~run_queue() = default;

  /// Whether there are any.
  virtual bool waiting() const = 0;

  /// The caller is about to leave its link alone and to `run` them.
  virtual void begin() = 0;

  /// Runs those that wait.
  virtual void run() = 0;

  /// Has those that wait run elsewhere; from between `begin` and the end of `run` also
  /// whom they wake.
  virtual void pass_on() = 0;
};

} // namespace actors
