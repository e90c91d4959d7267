#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include <caf/error.hpp>
#include <caf/expected.hpp>
#include <caf/message.hpp>

#include "actors/event_type.hpp"
#include "amqp/transport.hpp"
#include "wire/payload.hpp"

namespace actors {

/// The decoder makes each form of one message that handlers want, each form once. An exception of a
/// user's codec becomes an error like any other. A plain value.
class delivery_decoder {
public:
  explicit delivery_decoder(payload_limits limits = {});

  /// Goes to the next message, which must outlive all calls about it.
  void begin(const amqp::delivery& delivery, std::string_view queue, std::uint16_t prefetch_count);

  /// Returns the message in one form; valid until the next call.
  const caf::expected<caf::message>& get(const event_codec& codec);

  /// Whether the body could not be opened, which is no codec's failure.
  bool failed_to_open() const noexcept {
    return static_cast<bool>(unreadable_);
  }

private:
  struct form {
    event_codec codec;
    caf::expected<caf::message> message;
  };

  caf::expected<caf::message> make(const event_codec& codec);
  caf::error decode_body();
  caf::expected<caf::message> decode(const event_codec& codec);
  caf::expected<caf::message> call(const event_codec& codec) const;

  payload_decoder decoder_;
  std::size_t max_depth_;
  const amqp::delivery* delivery_ = nullptr;
  received_event received_;
  bool opened_ = false;
  bool checked_ = false;
  caf::error unreadable_;
  std::vector<form> forms_;
};

} // namespace actors
