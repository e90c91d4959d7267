#include "publishing/publication_failures.hpp"

#include <utility>

#include <fmt/core.h>

#include "amqp/wire_rules.hpp"
#include "publishing/publication_quarantine.hpp"

namespace actors {

failure about(std::string_view exchange, std::string_view routing_key, failure reason) {
  if (reason && !reason.text.starts_with("publish to "))
    reason.text = fmt::format("publish to {}:{}: {}", amqp::printable(exchange),
                              amqp::printable(routing_key), reason.text);
  return reason;
}

failure about(const amqp::publication& x, failure reason) {
  return about(x.exchange, x.routing_key, std::move(reason));
}

bool is_for_good(const failure& x) {
  switch (x.code) {
  case ec::invalid_argument:
  case ec::content_too_large:
  case ec::limit_exceeded:
    return true;
  default:
    return size_limit_in(x).has_value();
  }
}

failure in_doubt(const failure& why) {
  return {ec::in_doubt,
          why.text + "; but the message was sent before, and may have been taken then"};
}

failure no_route(std::string_view exchange, std::string_view routing_key) {
  return about(exchange, routing_key,
               {ec::no_route,
                "no queue took the message: bind one to the exchange, or publish what "
                "may be missed without `mandatory` and `persistent`"});
}

failure rejected() {
  return {ec::publish_rejected,
          "the broker could not take the message: a queue is full and refuses more (x-overflow "
          "reject-publish), so raise its limit or consume faster, or the broker cannot write, of "
          "which its own log tells"};
}

failure failure_of(const outbox::dropped& x) {
  const auto* text = "the outbox is full: the broker is away or too slow";
  if (x.reason == ec::expired)
    text = "the message expired before it could be sent: the broker is away or too slow, or its "
           "ttl is too short";
  else if (x.reason == ec::in_doubt)
    text = "the message was dropped, but the broker may have taken it before its link was lost";
  else if (x.replaced)
    text = "a newer message has taken its place";
  return about(x.exchange, x.routing_key, {x.reason, text});
}

failure stopped_before(bool in_doubt, bool kept) {
  if (!in_doubt && !kept)
    return {ec::shutting_down, "the event center stopped before the broker had the message"};
  const std::string text = "the event center stopped before the broker had said whether it has the "
                           "message";
  if (!kept)
    return {ec::in_doubt, text};
  return {ec::kept_unsent, in_doubt ? text + ": the next start sends it again"
                                    : "the event center stopped before the broker had the message: "
                                      "the next start sends it"};
}

} // namespace actors
