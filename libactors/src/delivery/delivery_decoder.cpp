#include "delivery/delivery_decoder.hpp"

#include <algorithm>
#include <exception>
#include <string>
#include <utility>

#include "actors/error.hpp"
#include "delivery/raw_codec.hpp"

namespace actors {

delivery_decoder::delivery_decoder(payload_limits limits)
    : decoder_(limits), max_depth_(limits.max_depth - 1) { // the event's own object is one level
  // nop
}

void delivery_decoder::begin(const amqp::delivery& delivery, std::string_view queue,
                             std::uint16_t prefetch_count) {
  delivery_ = &delivery;
  received_.queue = queue;
  received_.prefetch_count = prefetch_count;
  opened_ = false;
  unreadable_ = {};
  forms_.clear();
}

const caf::expected<caf::message>& delivery_decoder::get(const event_codec& codec) {
  auto known = std::find_if(forms_.begin(), forms_.end(),
                            [&](const form& made) { return made.codec == codec; });
  if (known != forms_.end())
    return known->message;
  return forms_.emplace_back(form{codec, make(codec)}).message;
}

caf::expected<caf::message> delivery_decoder::make(const event_codec& codec) {
  if (codec.raw)
    return caf::make_message(*delivery_);
  if (!std::exchange(opened_, true))
    unreadable_ = decode_body();
  if (unreadable_)
    return unreadable_;
  return decode(codec);
}

caf::error delivery_decoder::decode_body() {
  auto parts = decoder_.decode(delivery_->body);
  if (!parts)
    return std::move(parts.error());
  checked_ = parts->checked;
  received_.name = parts->name;
  received_.data = parts->data;
  received_.max_depth = max_depth_;
  received_.exchange = delivery_->exchange;
  received_.routing_key = delivery_->routing_key;
  return {};
}

caf::expected<caf::message> delivery_decoder::decode(const event_codec& codec) {
  auto message = call(codec);
  if (message || checked_)
    return message;
  // The parts were found by a shortcut: the body is checked in full before the error counts.
  auto parts = decoder_.check();
  checked_ = true;
  if (!parts)
    return std::move(parts.error());
  received_.name = parts->name;
  received_.data = parts->data;
  return call(codec);
}

caf::expected<caf::message> delivery_decoder::call(const event_codec& codec) const try {
  if (!codec.name.empty() && codec.name != received_.name)
    return make_error(ec::unexpected_event, "event '" + std::string{received_.name} + "' where '"
                                                + std::string{codec.name} + "' is expected");
  return codec.decode(received_);
} catch (...) {
  return detail::thrown(codec.name, std::current_exception());
}

} // namespace actors
