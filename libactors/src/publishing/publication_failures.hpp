#pragma once

#include <string>
#include <string_view>

#include "actors/ec.hpp"
#include "amqp/transport.hpp"
#include "publishing/outbox.hpp"

/// What publishers are told of messages that were not published.
namespace actors {

/// Says of which message that is, unless the reason does.
failure about(std::string_view exchange, std::string_view routing_key, failure reason);
failure about(const amqp::publication& x, failure reason);

/// Whether a message can never be sent, whoever is there and whatever their rights are.
bool is_for_good(const failure& x);

/// The same of a message that was refused, and may have been taken before that.
failure in_doubt(const failure& why);

/// Why a message came back.
failure no_route(std::string_view exchange, std::string_view routing_key);

/// Why the broker could not take a message. RabbitMQ does not say which it is.
failure rejected();

/// Why a message was dropped from the outbox.
failure failure_of(const outbox::dropped& x);

/// Why a message that the broker had not confirmed is given back at the end.
failure stopped_before(bool in_doubt, bool kept);

} // namespace actors
