#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <amqp.h>

#include "amqp/field_reader.hpp"
#include "amqp/field_writer.hpp"
#include "amqp/transport.hpp"

/// AMQP 0-9-1 frames as values. rabbitmq-c encodes and decodes methods; incoming frames are cut
/// here, because rabbitmq-c trusts their length.
namespace actors::amqp {

/// The number of bytes of a frame besides its payload.
constexpr std::size_t frame_overhead = 8;

constexpr std::uint16_t number_of(channel x) noexcept {
  return static_cast<std::uint16_t>(x);
}

// -- reading --------------------------------------------------------------------

/// One frame; the payload points into the bytes of the input.
struct frame {
  std::uint8_t type = 0;
  std::uint16_t channel = 0;
  /// The payload's size, as announced.
  std::size_t size = 0;
  std::string_view payload;
};

/// `oversized` is a content header larger than agreed on: `payload` has its first
/// `content_header_size` bytes, and nothing is cut off the input.
enum class frame_status : std::uint8_t { complete, incomplete, oversized, malformed };

/// The number of bytes before a frame's payload.
constexpr std::size_t frame_prefix = 7;

/// Cuts the first frame off `input`.
frame_status read_frame(std::string_view& input, std::size_t frame_max, frame& result);

/// The number of bytes of class, weight and body size, with which a content header begins.
constexpr std::size_t content_header_size = 12;

/// Returns the size of the body that a content header announces in its first
/// `content_header_size` bytes; nothing if the bytes are no content header.
std::optional<std::uint64_t> read_body_size(std::string_view payload);

/// Returns the properties of a content header; nothing if they are malformed.
std::optional<properties> read_properties(std::string_view payload);

/// The method connection.start, as far as we need it.
struct server_greeting {
  std::uint8_t major = 0;
  std::uint8_t minor = 0;
  /// Product and version, e.g. "RabbitMQ 3.10.8".
  std::string broker;
  /// Login mechanisms, separated by blanks.
  std::string mechanisms;
  /// Whether the broker keeps a consumer that it has cancelled until we cancel it as well, as
  /// RabbitMQ does from 4.3 on.
  bool keeps_cancelled = false;
  /// The largest frame that the broker takes before both sides have agreed on a limit: from 4.1
  /// on RabbitMQ takes twice AMQP's minimum, for logins by long tokens.
  std::size_t first_frame_max = AMQP_FRAME_MIN_SIZE;
};

/// Reads the arguments of connection.start.
std::optional<server_greeting> read_server_greeting(std::string_view arguments);

/// Decodes methods with rabbitmq-c.
class method_reader {
public:
  method_reader();

  ~method_reader();

  method_reader(const method_reader&) = delete;
  method_reader& operator=(const method_reader&) = delete;

  /// Decodes a method's arguments; returns null if they are malformed. The result lives until
  /// the next call and points into `arguments`.
  void* read(amqp_method_number_t id, std::string_view arguments);

private:
  amqp_pool_t pool_;
};

inline std::string_view view(amqp_bytes_t x) {
  return {static_cast<const char*>(x.bytes), x.len};
}

/// The broker's words for why it closes a channel or the connection, or returns a message.
template <class Method>
std::string reply_text(const Method& x) {
  return std::string{view(x.reply_text)} + " (" + std::to_string(x.reply_code) + ")";
}

/// The method that the broker blames for the close; 0 if it names none.
template <class Close>
amqp_method_number_t culprit(const Close& x) noexcept {
  return amqp_method_number_t{x.class_id} << 16 | x.method_id;
}

// -- writing --------------------------------------------------------------------

/// Refers to `x`, which must outlive the result; rabbitmq-c does not write to it.
inline amqp_bytes_t bytes_of(std::string_view x) {
  return {x.size(), const_cast<char*>(x.data())};
}

/// Encodes frames into the bytes that wait to be sent.
class frame_writer {
public:
  frame_writer();

  /// Sets the limit that the broker and we agreed on.
  void frame_max(std::size_t size);

  void protocol_header();

  void heartbeat();

  /// Appends a method; false if it does not fit into a frame.
  template <class Fields>
  bool method(std::uint16_t channel, amqp_method_number_t id, Fields fields) {
    static_assert(std::is_trivially_copyable_v<Fields>);
    return encode_method(channel, id, &fields);
  }

  /// Appends a method with arguments by `write`, e.g. a table; returns false if the method does
  /// not fit into a frame.
  template <class F>
  bool method_with(std::uint16_t channel, amqp_method_number_t id, F write) {
    const auto at = begin_frame(AMQP_FRAME_METHOD, channel);
    field_writer to{buffer_};
    to.number(std::uint32_t{id});
    write(to);
    return end_frame(at);
  }

  /// Appends a whole message; false, with nothing appended, if its properties
  /// do not fit into a frame.
  bool message(std::uint16_t channel, const publication& content);

  std::string_view pending() const noexcept {
    return std::string_view{buffer_}.substr(offset_);
  }

  /// Removes bytes that were sent.
  void consume(std::size_t size);

  /// The number of bytes appended so far.
  std::uint64_t total() const noexcept {
    return sent_ + buffer_.size() - offset_;
  }

  /// The number of bytes consumed so far.
  std::uint64_t sent() const noexcept {
    return sent_;
  }

private:
  bool encode_method(std::uint16_t channel, amqp_method_number_t id, void* fields);

  bool encode_header(std::uint16_t channel, const publication& content);

  void append_frame(std::uint8_t type, std::uint16_t channel, std::string_view payload);

  /// Returns where the frame begins, for `end_frame`.
  std::size_t begin_frame(std::uint8_t type, std::uint16_t channel);

  /// Returns false, and takes the frame back, if it is larger than agreed on.
  bool end_frame(std::size_t begin);

  std::string buffer_;
  std::size_t offset_ = 0;
  std::uint64_t sent_ = 0;
  std::vector<char> scratch_;
};

} // namespace actors::amqp
