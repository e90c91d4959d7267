#pragma once

#include "work.hpp"

/// The same work as the bare loop's, through the event center.
namespace with_actors {

struct strategy_options {
  /// How many strategies subscribe to the same events.
  std::size_t strategies = 1;
  /// The handler's return acknowledges.
  bool on_success = false;
  bool confirms = true;
  /// The queue that a subscription has by default, which a relay serves by a feed.
  bool feed = false;
};

void receive(const bench::work& x, const strategy_options& how);

/// Publishes without asking for answers, but for one after each few hundred
/// events, so that the outbox never overflows.
void publish(const bench::work& x, const strategy_options& how);

/// Asks for the answer to each event, with so many unanswered at a time.
void confirms(const bench::work& x, const strategy_options& how);

void latency(const bench::work& x, const strategy_options& how);

/// Then also: what a process costs that has them and is idle.
void subscriptions(const bench::work& x, const strategy_options& how);

/// From the start of the process to the first event. The moment of the start
/// is in the environment: `BENCH_STARTED_AT`, nanoseconds of the monotonic clock.
void start(const bench::work& x, const strategy_options& how);

/// From publisher to strategy through the in-process broker; the bodies are
/// next to nothing, and what they cost to read is subtracted.
void in_process(const bench::work& x, const strategy_options& how);

} // namespace with_actors
