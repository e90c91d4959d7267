#pragma once

#include <string>
#include <string_view>

#include "amqp/memory/arguments.hpp"
#include "amqp/memory/message.hpp"

/// The fate of messages that a queue gives up.
namespace actors::amqp::memory {

/// Returns RabbitMQ's name of the cause, e.g. "expired".
std::string_view to_string(death::cause x) noexcept;

/// Returns the message for the dead-letter exchange: body and properties stay, and the headers
/// note this death and the first one.
message_ptr dead_lettered(const message& source, const std::string& queue, const queue_rules& rules,
                          death::cause reason);

/// Whether a message that died has been in this queue before, without a rejection by a consumer
/// since: such a circle would have no end.
bool goes_in_circles(const message& source, std::string_view queue);

} // namespace actors::amqp::memory
