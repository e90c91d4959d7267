#pragma once

#include <chrono>
#include <vector>

#include "amqp/transport.hpp"
#include "publishing/publication_tracker.hpp"
#include "topology/link_set.hpp"

namespace actors {

/// The door by which `supervising` reaches connections, publishers and clock.
class supervise_door {
public:
  virtual ~supervise_door() = default;

  virtual std::chrono::steady_clock::time_point now() const = 0;

  /// To the connections, the dispatcher or the watchers of links; a `wake` comes back as a call of
  /// `link_set`.
  virtual void carry_out(link_set::order& order) = 0;

  /// To the publisher of a message, or to the log.
  virtual void carry_out(publication_tracker::news_item& news) = 0;

  /// Calls the function of `publication_tracker` that the order names, after its time.
  virtual void carry_out(const publication_tracker::wake& order) = 0;

  /// The publisher of this message waits for the answer from now on.
  virtual void admit(const amqp::publication& message) = 0;

  /// The links are closed. These messages were not sent.
  virtual void end_stop(std::vector<amqp::publication> unsent) = 0;
};

} // namespace actors
