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

/// Room for the rest of a message id, of which AMQP carries 255 bytes.
constexpr std::size_t max_id_prefix = 200;

/// Header of a copy: for retries or dead letters, or to the end of its queue.
constexpr std::string_view origin_header = "x-la-exchange";

bool is_copy(const amqp::publication& x) {
  return x.exchange.empty() && amqp::find_field(x.properties.headers, origin_header) != nullptr;
}

std::string begin_of_ids(std::string_view server_id, std::uint64_t epoch) {
  auto size = std::min(server_id.size(), max_id_prefix);
  while (size > 0 && size < server_id.size() && (server_id[size] & 0xC0) == 0x80)
    --size; // between the characters of UTF-8
  return fmt::format("{}-{:x}-", server_id.substr(0, size), epoch);
}

} // namespace

publication_stamp::publication_stamp(std::string_view server_id, std::uint64_t epoch)
    : numbers_(epoch), id_prefix_(begin_of_ids(server_id, epoch)) {
  // nop
}

amqp::stream_position* publication_stamp::mark(amqp::publication& x) {
  using std::chrono::system_clock;
  auto& p = x.properties;
  amqp::stream_position* place = nullptr;
  x.id = ++last_;
  // The place of a copy without one must not look like ours.
  if (is_copy(x)) {
    amqp::set_field(p.headers, copy_header, id_prefix_ + std::to_string(x.id));
  } else if (!p.position) {
    place = &numbers_.next(x.exchange, x.routing_key);
    p.position = *place;
  }
  if (p.message_id.empty())
    p.message_id = id_prefix_ + std::to_string(x.id);
  if (p.timestamp == 0)
    p.timestamp = static_cast<std::uint64_t>(system_clock::to_time_t(system_clock::now()));
  return place;
}

void publication_stamp::give_back(const amqp::publication& x) {
  if (x.properties.position && !is_copy(x))
    numbers_.give_back(x.exchange, x.routing_key, *x.properties.position);
}

} // namespace actors
