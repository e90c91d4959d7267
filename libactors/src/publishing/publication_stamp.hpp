#pragma once

#include <cstdint>
#include <string>

#include "amqp/transport.hpp"
#include "publishing/stream_numbers.hpp"

namespace actors {

/// Gives each message of an event center its id within the process, its message id, its time and
/// its place in its stream. A plain value, except that it reads the clock for messages without a
/// time.
class publication_stamp {
public:
  /// `epoch` is the epoch of the streams, of which the message ids have a part as well.
  explicit publication_stamp(std::uint64_t epoch);

  /// The last id; ids count from 1.
  std::uint64_t last() const noexcept {
    return last_;
  }

  /// Marks a new message. A copy for a retry, and a message of an earlier run, keep their place.
  /// Returns the new place, if the message got one; a caller that does not send the message must
  /// decrement the place before the next call.
  amqp::stream_position* mark(amqp::publication& message);

  /// Frees the place of a refused message, so that it leaves no gap in its stream. No effect if
  /// the stream has gone on since.
  void give_back(const amqp::publication& x);

private:
  stream_numbers numbers_;
  /// Returns the message id of the last id.
  std::string message_id() const;

  /// The beginning of all our message ids.
  std::string id_prefix_;
  std::uint64_t last_ = 0;
};

} // namespace actors
