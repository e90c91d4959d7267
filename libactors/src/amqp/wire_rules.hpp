#pragma once

#include <string>
#include <string_view>

#include "actors/ec.hpp"
#include "actors/export.hpp"
#include "amqp/transport.hpp"

/// What cannot be said to a broker: AMQP cannot carry it, or RabbitMQ answers it by closing
/// a channel or connection that others use. All transports refuse it alike, before any of
/// it is sent. Stateless.
namespace actors::amqp {

/// AMQP's limit for names, routing keys, keys of headers and short properties, in bytes.
constexpr std::size_t max_short_string = 255;

/// Says why the request can never be carried out, and what to do, if so
/// (`ec::invalid_argument`).
ACTORS_EXPORT failure check(const operation& x);

/// Says why the publication can never be sent, and what to do, if so
/// (`ec::invalid_argument`).
failure check(const publication& x);

/// Whether the text is well-formed UTF-8.
bool is_utf8(std::string_view text) noexcept;

/// The text as it can be shown: what is no UTF-8 and control characters as "\x0a", and a
/// text that is too long for AMQP cut.
std::string printable(std::string_view text);

/// A name as texts show it: printable, between apostrophes.
std::string quoted(std::string_view name);

} // namespace actors::amqp
