#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "amqp/transport.hpp"
#include "publishing/stream_numbers.hpp"

namespace actors {

/// What each message of an event center is told apart by: its id within the process, its message
/// id, its time and its place in its stream. A plain value but for the time of day, which a
/// message gets that has none.
class publication_stamp {
public:
  /// `epoch` is that of the streams.
  publication_stamp(std::string_view server_id, std::uint64_t epoch);

  /// How many messages have an id, which are numbered from 1 on.
  std::uint64_t last() const noexcept {
    return last_;
  }

  /// Marks a new message. One that is a copy for a retry, or of an earlier run, keeps its place.
  /// Gives back the place that it got, if any: whoever does not use it counts it down before the
  /// next call.
  amqp::stream_position* mark(amqp::publication& x);

  /// Nobody has a message that was refused: it is no gap in its stream, if it is the last one.
  void give_back(const amqp::publication& x);

private:
  stream_numbers numbers_;
  /// What the ids of our messages begin with.
  std::string id_prefix_;
  std::uint64_t last_ = 0;
};

} // namespace actors
