#include "amqp/memory/stream.hpp"

#include <algorithm>

#include "amqp/memory/arguments.hpp"

namespace actors::amqp::memory {

void stream_log::append(message_ptr content, time_point now) {
  bytes_ += content->size();
  entries_.push_back({std::move(content), now});
  while (max_bytes_ && bytes_ > *max_bytes_ && entries_.size() > 1) {
    bytes_ -= entries_.front().content->size();
    entries_.pop_front();
    ++first_;
  }
}

std::optional<std::uint64_t> stream_log::start(const field_value* offset, time_point now) const {
  if (!offset)
    return next();
  if (auto* text = std::get_if<std::string>(offset))
    return start(*text, now);
  if (auto* number = std::get_if<std::int64_t>(offset))
    return std::max(first_, static_cast<std::uint64_t>(std::max<std::int64_t>(*number, 0)));
  return std::nullopt;
}

std::optional<std::uint64_t> stream_log::start(const std::string& text, time_point now) const {
  if (text == "next")
    return next();
  if (text == "first")
    return first_;
  if (text == "last")
    return entries_.empty() ? first_ : next() - 1;
  auto age = parse_age(text);
  if (!age)
    return std::nullopt;
  auto young = std::find_if(entries_.begin(), entries_.end(),
                            [&](auto& x) { return now - x.since <= *age; });
  return first_ + static_cast<std::uint64_t>(young - entries_.begin());
}

} // namespace actors::amqp::memory
