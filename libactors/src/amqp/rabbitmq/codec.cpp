#include "amqp/rabbitmq/codec.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include <amqp_framing.h>

#include "amqp/shared_properties.hpp"

namespace actors::amqp {

namespace {

constexpr std::string_view position_key = "x-la";

/// The largest buffer that is kept when it is empty, in bytes.
constexpr std::size_t kept_capacity = 4 * 1024 * 1024;

std::optional<stream_position> parse_position(std::string_view text) {
  stream_position result;
  auto last = text.data() + text.size();
  auto epoch = std::from_chars(text.data(), last, result.epoch);
  if (epoch.ec != std::errc{} || epoch.ptr == last || *epoch.ptr != ':')
    return std::nullopt;
  auto sequence = std::from_chars(epoch.ptr + 1, last, result.sequence);
  if (sequence.ec != std::errc{} || sequence.ptr != last)
    return std::nullopt;
  return result;
}

/// Moves a well-formed position from the headers to its own place.
void extract_position(properties& result) {
  auto named = [](const auto& field) { return field.first == position_key; };
  auto i = std::find_if(result.headers.begin(), result.headers.end(), named);
  if (i == result.headers.end())
    return;
  auto text = std::get_if<std::string>(&i->second);
  if (text == nullptr)
    return;
  result.position = parse_position(*text);
  if (result.position)
    result.headers.erase(i);
}

/// Parses an expiration; returns 0, which is none, for a text that cannot be a time.
std::chrono::milliseconds parse_expiration(std::string_view text) noexcept {
  std::int64_t result = 0;
  auto last = text.data() + text.size();
  auto [end, error] = std::from_chars(text.data(), last, result);
  return std::chrono::milliseconds{error == std::errc{} && end == last && result > 0 ? result : 0};
}

/// Whether a version like "4.3.6" is the given one or a later one.
bool at_least(std::string_view version, int major, int minor) noexcept {
  int numbers[2] = {0, 0};
  auto last = version.data() + version.size();
  auto first = std::from_chars(version.data(), last, numbers[0]);
  if (first.ptr != last && *first.ptr == '.')
    std::from_chars(first.ptr + 1, last, numbers[1]);
  return numbers[0] > major || (numbers[0] == major && numbers[1] >= minor);
}

const std::string* find_text(const field_table& fields, std::string_view key) {
  for (auto& [name, value] : fields)
    if (name == key)
      return std::get_if<std::string>(&value);
  return nullptr;
}

/// Writes a position in its wire format into `buffer`, without an allocation.
std::string_view position_text(const stream_position& position,
                               std::array<char, 48>& buffer) noexcept {
  constexpr std::size_t digits = 20; // as many as the largest number has
  auto end = std::to_chars(buffer.data(), buffer.data() + digits, position.epoch).ptr;
  *end++ = ':';
  end = std::to_chars(end, buffer.data() + buffer.size(), position.sequence).ptr;
  return {buffer.data(), static_cast<std::size_t>(end - buffer.data())};
}

void write_headers(field_writer& to, const properties& values) {
  to.sized([&] {
    for (auto& [key, value] : values.headers)
      to.field(key, value);
    std::array<char, 48> buffer;
    if (values.position)
      to.text_field(position_key, position_text(*values.position, buffer));
  });
}

// Properties must come in the order of their flags.
void write_properties(field_writer& to, const properties& values) {
  static const other_properties none;
  auto& others = values.others ? *values.others : none;
  const auto headers = values.position || !values.headers.empty();
  auto flag = [](bool on, int bit) { return on ? bit : 0; };
  to.number(static_cast<std::uint16_t>(
      AMQP_BASIC_DELIVERY_MODE_FLAG
      | flag(!others.content_type.empty(), AMQP_BASIC_CONTENT_TYPE_FLAG)
      | flag(!others.content_encoding.empty(), AMQP_BASIC_CONTENT_ENCODING_FLAG)
      | flag(headers, AMQP_BASIC_HEADERS_FLAG)
      | flag(others.priority.has_value(), AMQP_BASIC_PRIORITY_FLAG)
      | flag(!others.correlation_id.empty(), AMQP_BASIC_CORRELATION_ID_FLAG)
      | flag(!others.reply_to.empty(), AMQP_BASIC_REPLY_TO_FLAG)
      | flag(values.expiration.count() > 0, AMQP_BASIC_EXPIRATION_FLAG)
      | flag(!values.message_id.empty(), AMQP_BASIC_MESSAGE_ID_FLAG)
      | flag(values.timestamp != 0, AMQP_BASIC_TIMESTAMP_FLAG)
      | flag(!others.type.empty(), AMQP_BASIC_TYPE_FLAG)
      | flag(!others.app_id.empty(), AMQP_BASIC_APP_ID_FLAG)));
  auto text = [&](const std::string& value) {
    if (!value.empty())
      to.short_string(value);
  };
  text(others.content_type);
  text(others.content_encoding);
  if (headers)
    write_headers(to, values);
  to.number(static_cast<std::uint8_t>(values.persistent ? AMQP_DELIVERY_PERSISTENT
                                                        : AMQP_DELIVERY_NONPERSISTENT));
  if (others.priority)
    to.number(*others.priority);
  text(others.correlation_id);
  text(others.reply_to);
  if (values.expiration.count() > 0)
    to.short_string(std::to_string(values.expiration.count()));
  text(values.message_id);
  if (values.timestamp != 0)
    to.number(values.timestamp);
  text(others.type);
  text(others.app_id);
}

} // namespace

// -- reading --------------------------------------------------------------------

frame_status read_frame(std::string_view& input, std::size_t frame_max, frame& result) {
  if (input.empty())
    return frame_status::incomplete;
  field_reader prefix{input.substr(0, frame_prefix)};
  result.type = prefix.number<std::uint8_t>();
  // The first byte reveals another protocol, and may be the only one that comes.
  if (result.type != AMQP_FRAME_METHOD && result.type != AMQP_FRAME_HEADER
      && result.type != AMQP_FRAME_BODY && result.type != AMQP_FRAME_HEARTBEAT)
    return frame_status::malformed;
  if (input.size() < frame_prefix)
    return frame_status::incomplete;
  result.channel = prefix.number<std::uint16_t>();
  const std::size_t size = result.size = prefix.number<std::uint32_t>();
  if (size > frame_max - frame_overhead) {
    // RabbitMQ adds headers of its own to a message, and may exceed the limit by them.
    if (result.type != AMQP_FRAME_HEADER)
      return frame_status::malformed;
    result.payload = input.substr(frame_prefix, content_header_size);
    return result.payload.size() < content_header_size ? frame_status::incomplete
                                                       : frame_status::oversized;
  }
  if (input.size() < size + frame_overhead)
    return frame_status::incomplete;
  result.payload = input.substr(frame_prefix, size);
  if (static_cast<unsigned char>(input[frame_prefix + size]) != AMQP_FRAME_END)
    return frame_status::malformed;
  input.remove_prefix(size + frame_overhead);
  return frame_status::complete;
}

std::optional<std::uint64_t> read_body_size(std::string_view payload) {
  field_reader in{payload};
  auto class_id = in.number<std::uint16_t>();
  in.number<std::uint16_t>(); // the weight has no meaning
  auto result = in.number<std::uint64_t>();
  return in.ok() && class_id == AMQP_BASIC_CLASS ? std::optional{result} : std::nullopt;
}

std::optional<properties> read_properties(std::string_view payload) {
  field_reader in{payload.substr(content_header_size)};
  auto flags = in.number<std::uint16_t>();
  // The lowest bit would announce more flags, which AMQP does not define.
  if ((flags & 1) != 0)
    return std::nullopt;
  properties result;
  other_properties_view others;
  auto text = [&](int flag) {
    return (flags & flag) != 0 ? in.short_string() : std::string_view{};
  };
  others.content_type = text(AMQP_BASIC_CONTENT_TYPE_FLAG);
  others.content_encoding = text(AMQP_BASIC_CONTENT_ENCODING_FLAG);
  if ((flags & AMQP_BASIC_HEADERS_FLAG) != 0)
    result.headers = in.table();
  if ((flags & AMQP_BASIC_DELIVERY_MODE_FLAG) != 0)
    result.persistent = in.number<std::uint8_t>() == AMQP_DELIVERY_PERSISTENT;
  if ((flags & AMQP_BASIC_PRIORITY_FLAG) != 0)
    others.priority = in.number<std::uint8_t>();
  others.correlation_id = text(AMQP_BASIC_CORRELATION_ID_FLAG);
  others.reply_to = text(AMQP_BASIC_REPLY_TO_FLAG);
  if ((flags & AMQP_BASIC_EXPIRATION_FLAG) != 0)
    result.expiration = parse_expiration(in.short_string());
  result.message_id = text(AMQP_BASIC_MESSAGE_ID_FLAG);
  if ((flags & AMQP_BASIC_TIMESTAMP_FLAG) != 0)
    result.timestamp = in.number<std::uint64_t>();
  others.type = text(AMQP_BASIC_TYPE_FLAG);
  text(AMQP_BASIC_USER_ID_FLAG);
  others.app_id = text(AMQP_BASIC_APP_ID_FLAG);
  if (!in.ok())
    return std::nullopt;
  result.others = share(others);
  extract_position(result);
  return result;
}

std::optional<server_greeting> read_server_greeting(std::string_view arguments) {
  field_reader in{arguments};
  server_greeting result;
  result.major = in.number<std::uint8_t>();
  result.minor = in.number<std::uint8_t>();
  auto about = in.table();
  result.mechanisms = in.long_string();
  if (!in.ok())
    return std::nullopt;
  auto product = find_text(about, "product");
  auto version = find_text(about, "version");
  if (product)
    result.broker = *product;
  if (version)
    result.broker += " " + *version;
  if (!product || !version || *product != "RabbitMQ")
    return result;
  result.keeps_cancelled = at_least(*version, 4, 3);
  if (at_least(*version, 4, 1))
    result.first_frame_max = 2 * AMQP_FRAME_MIN_SIZE;
  return result;
}

method_reader::method_reader() {
  init_amqp_pool(&pool_, 4096);
}

method_reader::~method_reader() {
  empty_amqp_pool(&pool_);
}

void* method_reader::read(amqp_method_number_t id, std::string_view arguments) {
  recycle_amqp_pool(&pool_);
  void* result = nullptr;
  auto status = amqp_decode_method(id, &pool_, bytes_of(arguments), &result);
  return status == AMQP_STATUS_OK ? result : nullptr;
}

// -- writing --------------------------------------------------------------------

frame_writer::frame_writer() : scratch_(AMQP_FRAME_MIN_SIZE) {
  // nop
}

void frame_writer::frame_max(std::size_t size) {
  scratch_.resize(size);
}

void frame_writer::protocol_header() {
  buffer_.append("AMQP\x00\x00\x09\x01", 8);
}

void frame_writer::heartbeat() {
  append_frame(AMQP_FRAME_HEARTBEAT, 0, {});
}

bool frame_writer::message(std::uint16_t channel, const publication& content) {
  auto rollback = buffer_.size();
  constexpr std::uint8_t mandatory = 1;
  auto published = method_with(channel, AMQP_BASIC_PUBLISH_METHOD, [&](field_writer& to) {
    to.number(std::uint16_t{0});
    to.short_string(content.exchange);
    to.short_string(content.routing_key);
    to.number(content.mandatory ? mandatory : std::uint8_t{0});
  });
  if (!published || !encode_header(channel, content)) {
    buffer_.resize(rollback);
    return false;
  }
  std::string_view body = content.body ? std::string_view{*content.body} : std::string_view{};
  while (!body.empty()) {
    auto part = body.substr(0, scratch_.size() - frame_overhead);
    append_frame(AMQP_FRAME_BODY, channel, part);
    body.remove_prefix(part.size());
  }
  return true;
}

void frame_writer::consume(std::size_t size) {
  sent_ += size;
  offset_ += size;
  if (offset_ < buffer_.size()) {
    // The erased bytes outnumber the moved ones, so moving stays cheap.
    if (offset_ > buffer_.size() / 2) {
      buffer_.erase(0, offset_);
      offset_ = 0;
    }
    return;
  }
  offset_ = 0;
  buffer_.clear();
  if (buffer_.capacity() > kept_capacity)
    buffer_.shrink_to_fit();
}

bool frame_writer::encode_method(std::uint16_t channel, amqp_method_number_t id, void* fields) {
  auto room = scratch_.size() - frame_overhead - sizeof(id);
  auto size = amqp_encode_method(id, fields, {room, scratch_.data() + sizeof(id)});
  if (size < 0)
    return false;
  for (std::size_t i = 0; i < sizeof(id); ++i)
    scratch_[i] = static_cast<char>(id >> (8 * (sizeof(id) - 1 - i)));
  append_frame(AMQP_FRAME_METHOD, channel,
               {scratch_.data(), sizeof(id) + static_cast<std::size_t>(size)});
  return true;
}

bool frame_writer::encode_header(std::uint16_t channel, const publication& content) {
  const auto at = begin_frame(AMQP_FRAME_HEADER, channel);
  field_writer to{buffer_};
  to.number(std::uint16_t{AMQP_BASIC_CLASS});
  to.number(std::uint16_t{0});
  to.number(std::uint64_t{content.body ? content.body->size() : 0});
  write_properties(to, content.properties);
  return end_frame(at);
}

void frame_writer::append_frame(std::uint8_t type, std::uint16_t channel,
                                std::string_view payload) {
  field_writer to{buffer_};
  to.number(type);
  to.number(channel);
  to.long_string(payload);
  to.number(std::uint8_t{AMQP_FRAME_END});
}

std::size_t frame_writer::begin_frame(std::uint8_t type, std::uint16_t channel) {
  const auto result = buffer_.size();
  field_writer to{buffer_};
  to.number(type);
  to.number(channel);
  to.number(std::uint32_t{0});
  return result;
}

bool frame_writer::end_frame(std::size_t begin) {
  const auto size = buffer_.size() - begin - frame_prefix;
  if (size > scratch_.size() - frame_overhead) {
    buffer_.resize(begin);
    return false;
  }
  std::string length;
  field_writer{length}.number(static_cast<std::uint32_t>(size));
  buffer_.replace(begin + frame_prefix - length.size(), length.size(), length);
  field_writer{buffer_}.number(std::uint8_t{AMQP_FRAME_END});
  return true;
}

} // namespace actors::amqp
