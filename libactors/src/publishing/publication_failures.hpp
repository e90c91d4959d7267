#pragma once

#include <string>
#include <string_view>

#include "actors/ec.hpp"
#include "amqp/transport.hpp"
#include "publishing/outbox.hpp"

/// The errors that publishers get for messages that were not published.
namespace actors {

/// Adds the message's destination to the reason, unless the reason already names it.
failure about(std::string_view exchange, std::string_view routing_key, failure reason);
failure about(const amqp::publication& x, failure reason);

/// Whether a failure is final: no change of consumers or rights could make the message sendable.
bool is_for_good(const failure& x);

/// The error for a message that was refused now, but may have been taken at an earlier attempt.
failure in_doubt(const failure& why);

/// The error for a message that no queue took.
failure no_route(std::string_view exchange, std::string_view routing_key);

/// The error for a message that the broker could not take. RabbitMQ gives no reason, so the text
/// names all of them.
failure rejected();

/// The error for a message that was dropped from the outbox.
failure failure_of(const outbox::dropped& x);

/// The error for a message that is unconfirmed when the event center stops.
failure stopped_before(bool in_doubt, bool kept);

} // namespace actors
