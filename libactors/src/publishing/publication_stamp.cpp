#include "publishing/publication_stamp.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string_view>

#include "amqp/fields.hpp"
#include "publishing/outbox.hpp"

namespace actors {

namespace {

/// The header of a copy for a retry, for the dead letters, or for the end of its queue.
constexpr std::string_view origin_header = "x-la-exchange";

bool is_copy(const amqp::publication& x) {
  return x.exchange.empty() && amqp::find_field(x.properties.headers, origin_header) != nullptr;
}

/// Writes a number with 62 digits.
std::string in_base_62(std::uint64_t x) {
  constexpr std::string_view digits =
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  std::string result;
  do {
    result += digits[x % digits.size()];
    x /= digits.size();
  } while (x > 0);
  std::reverse(result.begin(), result.end());
  return result;
}

/// Returns the beginning of an event center's message ids: 47 bits of the epoch, in 8 digits.
/// RabbitMQ needs a quarter more of its time for a message whose properties are longer than 64
/// bytes: ids of up to 12 bytes leave room for the rest.
std::string begin_of_ids(std::uint64_t epoch) {
  constexpr std::size_t size = 8;
  auto digits = in_base_62(epoch);
  if (digits.size() > size)
    digits.erase(0, digits.size() - size);
  return std::string(size - digits.size(), '0') + digits;
}

} // namespace

publication_stamp::publication_stamp(std::uint64_t epoch)
    : numbers_(epoch), id_prefix_(begin_of_ids(epoch)) {
  // nop
}

std::string publication_stamp::message_id() const {
  return id_prefix_ + in_base_62(last_);
}

amqp::stream_position* publication_stamp::mark(amqp::publication& message) {
  using std::chrono::system_clock;
  auto& properties = message.properties;
  amqp::stream_position* place = nullptr;
  message.id = ++last_;
  // A copy without a place must not get one, which would look like a message of our stream.
  if (is_copy(message)) {
    amqp::set_field(properties.headers, copy_header, message_id());
  } else if (!properties.position) {
    place = &numbers_.next(message.exchange, message.routing_key);
    properties.position = *place;
  }
  if (properties.message_id.empty())
    properties.message_id = message_id();
  if (properties.timestamp == 0)
    properties.timestamp = static_cast<std::uint64_t>(system_clock::to_time_t(system_clock::now()));
  return place;
}

void publication_stamp::give_back(const amqp::publication& x) {
  if (x.properties.position && !is_copy(x))
    numbers_.give_back(x.exchange, x.routing_key, *x.properties.position);
}

} // namespace actors
