#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "amqp/transport.hpp"

namespace actors::amqp {

/// The fields of `other_properties`, within the bytes of a frame.
struct other_properties_view {
  std::string_view content_type;
  std::string_view content_encoding;
  std::string_view correlation_id;
  std::string_view reply_to;
  std::string_view type;
  std::string_view app_id;
  std::optional<std::uint8_t> priority;
};

/// Returns a copy; null if all fields are empty. Most messages of a publisher have the same
/// properties (a content type, say), so messages that one thread reads share one copy.
std::shared_ptr<const other_properties> share(const other_properties_view& wanted);

} // namespace actors::amqp
