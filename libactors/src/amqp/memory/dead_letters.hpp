#pragma once

#include <string>
#include <string_view>

#include "amqp/memory/arguments.hpp"
#include "amqp/memory/message.hpp"

/// What becomes of messages that a queue gives up.
namespace actors::amqp::memory {

/// RabbitMQ's name of the cause, e.g. "expired".
std::string_view to_string(death::cause x) noexcept;

/// The message as it goes to the dead-letter exchange: it keeps its body and
/// properties, and notes its death. The first death is in its headers, too.
message_ptr dead_lettered(const message& x, const std::string& queue, const queue_rules& rules,
                          death::cause reason);

/// Whether a message that died has been in this queue before, and came round
/// without a consumer that rejected it: such a circle would have no end.
bool goes_in_circles(const message& x, std::string_view queue);

} // namespace actors::amqp::memory
