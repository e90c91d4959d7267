#pragma once

namespace actors {

/// Actors that a link's events made runnable. A link with a thread runs them there when it has
/// nothing else to do, because waking another thread costs more than most handlers. A slow
/// handler does no harm: a second thread takes over the link. Several threads may make calls at
/// once.
class run_queue {
public:
  virtual ~run_queue() = default;

  /// Whether any actors wait to be run.
  virtual bool waiting() const = 0;

  /// Notes that the caller is about to leave its link alone and to call `run`.
  virtual void begin() = 0;

  /// Runs the waiting actors.
  virtual void run() = 0;

  /// Hands the waiting actors to the scheduler; between `begin` and the end of `run`, also the
  /// actors that they wake.
  virtual void pass_on() = 0;
};

} // namespace actors
