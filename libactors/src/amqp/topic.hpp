#pragma once

#include <string_view>

namespace actors {

/// Whether a routing key matches the binding key of a topic exchange: dots separate words, `*`
/// stands for exactly one word and `#` for zero or more words. Source: AMQP 0-9-1, section
/// 3.1.3.3.
bool topic_matches(std::string_view binding_key, std::string_view routing_key) noexcept;

/// Whether a binding key holds a `*` or `#` word.
bool is_wildcard(std::string_view binding_key) noexcept;

} // namespace actors
