#pragma once

#include <string>
#include <string_view>

#include "actors/ec.hpp"

/// The refusals of a broker, worded as RabbitMQ words them.
namespace actors::amqp::memory {

failure not_found(const std::string& text);

failure access_refused(const std::string& text);

failure resource_locked(const std::string& text);

failure precondition_failed(const std::string& text);

failure not_allowed(const std::string& text);

failure not_implemented(const std::string& text);

failure internal_error(const std::string& text);

failure no_route(const std::string& exchange, const std::string& routing_key);

/// Returns the refusal of a declaration that contradicts the existing entity, where `entity` is
/// e.g. "exchange 'Trade'".
failure inequivalent(std::string_view argument, const std::string& entity,
                     std::string_view received, std::string_view current);

/// Returns e.g. "queue 'q'".
std::string describe_queue(const std::string& name);

} // namespace actors::amqp::memory
