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

/// A copy; null, if there are none. Most messages of a publisher have the same, a content
/// type perhaps: those that one thread reads share it.
std::shared_ptr<const other_properties> share(const other_properties_view& x);

} // namespace actors::amqp
