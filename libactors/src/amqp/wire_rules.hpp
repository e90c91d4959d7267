#pragma once

#include <string>
#include <string_view>

#include "actors/ec.hpp"
#include "actors/export.hpp"
#include "amqp/transport.hpp"

/// Rules for messages and requests that no broker takes: AMQP cannot carry them, or RabbitMQ
/// answers them by closing a channel or connection that others use. All transports refuse them
/// alike, before a byte is sent. The functions are stateless.
namespace actors::amqp {

/// AMQP's limit for names, routing keys, keys of headers and short properties, in bytes.
constexpr std::size_t max_short_string = 255;

/// Returns why the request can never be carried out, and what to do (`ec::invalid_argument`);
/// `ec::none` if nothing speaks against the request.
ACTORS_EXPORT failure check(const operation& x);

/// Returns why the publication can never be sent, and what to do (`ec::invalid_argument`);
/// `ec::none` if nothing speaks against the publication.
failure check(const publication& message);

/// Whether the text is well-formed UTF-8.
bool is_utf8(std::string_view text) noexcept;

/// Returns the text fit for display: control characters and bytes that are not UTF-8 become
/// "\x0a", and a text too long for AMQP is cut.
std::string printable(std::string_view text);

/// Returns a name fit for display: printable, between apostrophes.
std::string quoted(std::string_view name);

} // namespace actors::amqp
