#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <caf/error.hpp>

#include "publishing/outbox.hpp"
#include "publishing/unsent_file.hpp"

namespace actors {

/// The unsent messages of an earlier run, and their file. Messages stay until the broker has them
/// or until they can never be sent. They have the first ids of this run. A message without room in
/// the outbox *waits* here; a refused message stays, because it may be taken another time.
class former_messages {
public:
  using time_point = outbox::time_point;

  /// `file` is null if nothing is kept for the next run.
  explicit former_messages(std::shared_ptr<unsent_file> file = nullptr);

  /// Adds a message; the ids of messages must be 1, 2, ... in order.
  void add(amqp::publication message, time_point now);

  std::uint64_t size() const noexcept {
    return last_;
  }

  bool contains(std::uint64_t id) const noexcept {
    return id <= last_;
  }

  /// Whether any messages wait for room, and how many.
  bool any_waiting() const noexcept {
    return next_ <= last_;
  }

  std::size_t waiting() const noexcept {
    return last_ + 1 - next_;
  }

  /// Whether any message is neither sent nor final.
  bool any_left() const noexcept {
    return !messages_.empty();
  }

  /// Returns the first waiting message, which goes on waiting.
  amqp::publication& next();
  /// Returns the first waiting message with its remaining time to live; it waits no longer.
  amqp::publication& take_next(time_point now);

  /// Notes that a message has left the outbox. A message that a later run could send stays in the
  /// file, e.g. after a lost right or for want of a queue.
  void finish(std::uint64_t id, const failure& reason);

  /// Makes the results of `finish` survive a power failure.
  void sync();

  /// Merges the messages of the outbox with the waiting ones. Returns all unsent messages,
  /// ascending by id.
  std::vector<outbox::remainder> join(std::vector<outbox::remainder> of_outbox);

  /// The result of `keep`: whether the file now holds the messages for the next start.
  struct keeping {
    bool kept = false;
    /// The file's path; empty if there is no file.
    std::string path;
    caf::error error;
  };

  /// Writes the messages to the file and closes it. No other call may follow.
  keeping keep(const std::vector<amqp::publication>& messages);

private:
  std::shared_ptr<unsent_file> file_;
  std::map<std::uint64_t, outbox::remainder> messages_;
  std::uint64_t last_ = 0;
  /// The id from which on messages wait.
  std::uint64_t next_ = 1;
};

/// Returns the remaining time to live, at least 1 ms.
std::chrono::milliseconds time_left(outbox::time_point deadline, outbox::time_point now);

} // namespace actors
