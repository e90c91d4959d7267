#include "publishing/publication_stamp.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <utility>

#include <fmt/core.h>

#include "amqp/fields.hpp"
#include "publishing/outbox.hpp"

namespace actors {

namespace {

/// The limit of the prefix, which leaves room for the rest: AMQP carries ids of 255 bytes.
constexpr std::size_t max_id_prefix = 200;

/// The header of a copy for a retry, for the dead letters, or for the end of its queue.
constexpr std::string_view origin_header = "x-la-exchange";

bool is_copy(const amqp::publication& x) {
  return x.exchange.empty() && amqp::find_field(x.properties.headers, origin_header) != nullptr;
}

std::string begin_of_ids(std::string_view server_id, std::uint64_t epoch) {
  auto size = std::min(server_id.size(), max_id_prefix);
  while (size > 0 && size < server_id.size() && (server_id[size] & 0xC0) == 0x80)
    --size; // not inside a UTF-8 character
  return fmt::format("{}-{:x}-", server_id.substr(0, size), epoch);
}

} // namespace

publication_stamp::publication_stamp(std::string_view server_id, std::uint64_t epoch)
    : numbers_(epoch), id_prefix_(begin_of_ids(server_id, epoch)) {
  // nop
}

amqp::stream_position* publication_stamp::mark(amqp::publication& message) {
  using std::chrono::system_clock;
  auto& properties = message.properties;
  amqp::stream_position* place = nullptr;
  message.id = ++last_;
  // A copy without a place must not get one, which would look like a message of our stream.
  if (is_copy(message)) {
    amqp::set_field(properties.headers, copy_header, id_prefix_ + std::to_string(message.id));
  } else if (!properties.position) {
    place = &numbers_.next(message.exchange, message.routing_key);
    properties.position = *place;
  }
  if (properties.message_id.empty())
    properties.message_id = id_prefix_ + std::to_string(message.id);
  if (properties.timestamp == 0)
    properties.timestamp = static_cast<std::uint64_t>(system_clock::to_time_t(system_clock::now()));
  return place;
}

void publication_stamp::give_back(const amqp::publication& x) {
  if (x.properties.position && !is_copy(x))
    numbers_.give_back(x.exchange, x.routing_key, *x.properties.position);
}

} // namespace actors
