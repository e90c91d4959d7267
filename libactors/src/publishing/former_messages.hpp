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

/// The messages that an earlier run could not send, until the broker has them or they can never
/// be sent, and the file that they are in. They have the first ids of this run. What finds no
/// room in the outbox *waits* here; what was refused stays, as it may be taken another time.
class former_messages {
public:
  using time_point = outbox::time_point;

  /// Without a file nothing is kept for the next run.
  explicit former_messages(std::shared_ptr<unsent_file> file = nullptr);

  /// Messages with the ids from 1 on, in order.
  void add(amqp::publication x, time_point now);

  std::uint64_t size() const noexcept {
    return last_;
  }

  bool contains(std::uint64_t id) const noexcept {
    return id <= last_;
  }

  /// Whether any waits for room, and how many do.
  bool any_waiting() const noexcept {
    return next_ <= last_;
  }

  std::size_t waiting() const noexcept {
    return last_ + 1 - next_;
  }

  /// Whether any is not done with.
  bool any_left() const noexcept {
    return !messages_.empty();
  }

  /// The first that waits. `has_room`: it waits no more.
  amqp::publication& next();
  /// The same with what is left of its time.
  amqp::publication& take_next(time_point now);

  /// One of them is not in the outbox any more. A right may be given back, a consumer may come:
  /// what could be sent then stays in the file.
  void finish(std::uint64_t id, const failure& reason);

  /// What is done with is so over a failure of power as well from here on.
  void sync();

  /// Adds what was not in the outbox to what was, ascending by id: all that is unsent.
  std::vector<outbox::remainder> join(std::vector<outbox::remainder> of_outbox);

  /// Whether there is a file, and the next start has these messages from it: the last call.
  struct keeping {
    bool kept = false;
    /// Of the file, if there is one.
    std::string path;
    caf::error error;
  };

  keeping keep(const std::vector<amqp::publication>& xs);

private:
  std::shared_ptr<unsent_file> file_;
  std::map<std::uint64_t, outbox::remainder> messages_;
  std::uint64_t last_ = 0;
  /// From here on they wait.
  std::uint64_t next_ = 1;
};

/// How long a message is still worth sending.
std::chrono::milliseconds time_left(outbox::time_point deadline, outbox::time_point now);

} // namespace actors
