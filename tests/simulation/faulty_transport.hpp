#pragma once

#include <memory>
#include <string>

#include "amqp/transport.hpp"
#include "simulation/wire_books.hpp"

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
  /// A publication that a queue takes is told to be returned.
  false_return,
  // The following are the world's, not a transport's.
  /// What waits for a slow strategy has no limit.
  unbounded_window,
  /// Nothing waits for its queue after a restart of the broker.
  impatient_outbox,
  /// What could not be sent is not there at the next start.
  lost_file,
  /// Which of it was confirmed since is forgotten.
  resent_file,
};

/// Gives back `defect::none` for an unknown name.
defect to_defect(const std::string& name);

/// Puts a defect between a connection and its transport, and listens to what the
/// broker says of our acknowledgements. Keeps `books`, unless they are null.
amqp::transport_ptr make_faulty_transport(amqp::transport_ptr inner, defect what,
                                          complaint on_complaint,
                                          std::shared_ptr<wire_books> books);

} // namespace actors::simulation
