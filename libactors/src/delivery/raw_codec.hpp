#pragma once

#include <caf/allowed_unsafe_message_type.hpp>

#include "actors/event_type.hpp"
#include "amqp/transport.hpp"

namespace actors {

/// The codec of an `amqp::delivery`: nothing is decoded.
event_codec raw_codec() noexcept;

} // namespace actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::amqp::delivery)
