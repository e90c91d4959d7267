#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>

#include <caf/event_based_actor.hpp>
#include <caf/response_promise.hpp>

#include "amqp/transport.hpp"
#include "publishing/publication_tracker.hpp"

namespace actors {

/// The publishers that wait for an answer. It carries out what a `publication_tracker` has to tell
/// them.
class waiting_publishers {
public:
  /// The sender of the message that `self` handles now waits for the answer to a publication,
  /// unless nobody asked.
  void add(caf::event_based_actor* self, const amqp::publication& message);

  void carry_out(const log_line& line);
  void carry_out(publication_tracker::answer& order);
  void carry_out(publication_tracker::overflow& order);

private:
  /// The promise, and the message id to answer with.
  struct publisher {
    caf::response_promise promise;
    std::string message_id;
  };

  std::optional<publisher> take(std::uint64_t id);

  std::unordered_map<std::uint64_t, publisher> by_id_;
};

} // namespace actors
