#pragma once

#include <functional>
#include <memory>
#include <string>

#include "actors/amqp/transport.hpp"

namespace actors::simulation {

/// A deliberate fault of our own side, to prove that the invariants see it.
enum class defect {
  none,
  /// A publication is confirmed but never sent.
  lost_publication,
  /// A failed delivery is acknowledged.
  acknowledged_failure,
  /// Two publications of one batch change places.
  reordered_publications,
  /// Settlements of a former life of the channel are sent on the new one.
  stale_settlement,
  /// A binding is not made.
  forgotten_binding,
  /// A confirmation never arrives, and nobody minds how long that takes.
  swallowed_confirmation,
  /// Messages lose their place in their stream, so that copies are not known.
  unnumbered_deliveries,
  /// The copy of a failed message is confirmed but never sent.
  lost_copy,
  /// A consumer that the broker has lost seems to be there.
  hidden_wedge,
  /// A publication that no queue took is not told to be so.
  swallowed_return,
  /// What came back is told to be another one.
  confused_return,
  /// What waits for a slow strategy has no limit. (The world's, not a transport's.)
  unbounded_window,
};

/// Gives back `defect::none` for an unknown name.
defect to_defect(const std::string& name);

/// What the broker had against what we sent.
using complaint = std::function<void(const std::string&)>;

/// Puts a defect between a connection and its transport, and listens to what the
/// broker says of our acknowledgements.
amqp::transport_ptr make_faulty_transport(amqp::transport_ptr inner, defect what,
                                          complaint on_complaint);

} // namespace actors::simulation
