#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "actors/config.hpp"
#include "actors/status.hpp"
#include "amqp/transport.hpp"
#include "publishing/publication_tracker.hpp"
#include "publishing/unsent_file.hpp"
#include "supervise/door.hpp"
#include "topology/link_set.hpp"

namespace actors {

struct supervising_settings {
  actors::config config;
  /// The epoch grows with each start. It is `amqp::stream_position::epoch`, and the seed of the
  /// back-off's jitter.
  std::uint64_t epoch = 0;
  /// Messages that an earlier event center could not send. They are sent ahead of all others.
  std::vector<amqp::publication> unsent;
  /// The file that `unsent` was read from, and that takes unsent messages at the end; null: none.
  std::shared_ptr<actors::unsent_file> unsent_file;
};

/// The supervisor's decisions: this class tells `link_set` and `publication_tracker` what happens,
/// each what it must know of the other, and has their orders carried out:
///
///     event -> tell_time -> link_set, publication_tracker -> orders -> the door
///
/// A value that reaches the outside by its door and the links' senders alone.
class supervising {
public:
  supervising(supervise_door& door, supervising_settings settings);

  supervising(const supervising&) = delete;
  supervising& operator=(const supervising&) = delete;

  const link_set& links() const noexcept {
    return links_;
  }

  /// Has one or both values told by `f(link_set&, publication_tracker&)` what happens now, and
  /// their orders carried out.
  template <class F>
  void tell(F f) {
    tell_time();
    f(links_, publications_);
    carry_out();
  }

  // -- links -----------------------------------------------------------------------------

  void connect(link_role role);

  /// A connection has ended.
  void on_down(link_role role, const failure& reason);
  void on_channel_lost(link_role role, const amqp::closed_channel& lost);

  /// The caller failed with an event, by a fault of this library. Open requests and publications go
  /// to new links: no subscription and no publication may stay without an answer. `unconnected`:
  /// the links without a connection.
  void on_fault(const std::vector<link_role>& unconnected);

  // -- publications ----------------------------------------------------------------------

  /// Takes a message, which the door's `admit` gets before. Returns why not, if it does not.
  failure publish(amqp::publication message);

  /// Counts and logs a message that is not taken. Returns what its publisher is told.
  failure refuse(failure reason, const amqp::publication& message);
  void on_confirmations(const std::vector<amqp::confirmation>& answers);
  void flush();
  void expire();

  // -- looking, ending -------------------------------------------------------------------

  supervisor_status status() const;

  /// A line about links, consumers and what waits.
  std::string heartbeat_text() const;

  /// Begins to stop; false: that has begun before. The door's `end_stop` follows.
  bool stop();
  void continue_stop();
  void on_deadline(stop_stage stage);

private:
  void carry_out();
  void carry_out(publication_tracker::order& order);
  void carry_out(publication_tracker::batch& order);
  void carry_out(const link_set::close_link& order);
  void carry_out(publication_tracker::redeclare_exchanges);
  void carry_out(publication_tracker::renew_apart);
  void carry_out(const publication_tracker::wake& order);
  void tell_time();
  void end_stop();

  supervise_door& door_;
  link_set links_;
  publication_tracker publications_;
  bool has_ended_ = false;
};

} // namespace actors
