#include "center/waiting_publishers.hpp"

#include <utility>

#include "actors/error.hpp"
#include "actors/publish_options.hpp"
#include "publishing/publication_failures.hpp"
#include "runtime/log_line.hpp"

namespace actors {

void waiting_publishers::add(caf::event_based_actor* self, const amqp::publication& message) {
  auto promise = self->make_response_promise();
  if (promise.pending())
    by_id_.emplace(message.id, publisher{std::move(promise), message.properties.message_id});
}

void waiting_publishers::carry_out(const log_line& line) {
  write(line);
}

void waiting_publishers::carry_out(publication_tracker::answer& order) {
  if (auto waiting = take(order.id)) {
    if (order.reason)
      waiting->promise.deliver(make_error(std::move(order.reason)));
    else
      waiting->promise.deliver(published{std::move(waiting->message_id)});
  } else if (order.is_logged) {
    write(publication_tracker::unpublished(order.reason, order.exchange));
  }
}

void waiting_publishers::carry_out(publication_tracker::overflow& order) {
  if (auto waiting = take(order.id))
    waiting->promise.deliver(make_error(failure_of(order)));
}

std::optional<waiting_publishers::publisher> waiting_publishers::take(std::uint64_t id) {
  auto found = by_id_.extract(id);
  return found ? std::optional{std::move(found.mapped())} : std::nullopt;
}

} // namespace actors
