#include "amqp/rabbitmq_codec.hpp"

#include <algorithm>
#include <charconv>

#include <amqp_framing.h>

namespace actors::amqp {

namespace {

constexpr std::size_t frame_prefix = 7;
constexpr std::string_view position_key = "x-la";

/// Buffers beyond this size are given back once they are empty.
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
void extract_position(properties& x) {
  auto named = [](const auto& field) { return field.first == position_key; };
  auto i = std::find_if(x.headers.begin(), x.headers.end(), named);
  if (i == x.headers.end())
    return;
  auto text = std::get_if<std::string>(&i->second);
  if (text == nullptr)
    return;
  x.position = parse_position(*text);
  if (x.position)
    x.headers.erase(i);
}

const std::string* find_text(const field_table& fields, std::string_view key) {
  for (auto& [name, value] : fields)
    if (name == key)
      return std::get_if<std::string>(&value);
  return nullptr;
}

} // namespace

// -- reading --------------------------------------------------------------------

frame_status read_frame(std::string_view& input, std::size_t frame_max, frame& result) {
  if (input.empty())
    return frame_status::incomplete;
  field_reader prefix{input.substr(0, frame_prefix)};
  result.type = prefix.number<std::uint8_t>();
  // Another protocol shows in its first byte, which may be all that comes.
  if (result.type != AMQP_FRAME_METHOD && result.type != AMQP_FRAME_HEADER
      && result.type != AMQP_FRAME_BODY && result.type != AMQP_FRAME_HEARTBEAT)
    return frame_status::malformed;
  if (input.size() < frame_prefix)
    return frame_status::incomplete;
  result.channel = prefix.number<std::uint16_t>();
  std::size_t size = prefix.number<std::uint32_t>();
  if (size > frame_max - frame_overhead)
    return frame_status::malformed;
  if (input.size() < size + frame_overhead)
    return frame_status::incomplete;
  result.payload = input.substr(frame_prefix, size);
  if (static_cast<unsigned char>(input[frame_prefix + size]) != AMQP_FRAME_END)
    return frame_status::malformed;
  input.remove_prefix(size + frame_overhead);
  return frame_status::complete;
}

std::optional<content_header> read_content_header(std::string_view payload) {
  field_reader in{payload};
  content_header result;
  auto class_id = in.number<std::uint16_t>();
  in.number<std::uint16_t>(); // the weight, which has no meaning
  result.body_size = in.number<std::uint64_t>();
  auto flags = in.number<std::uint16_t>();
  if (class_id != AMQP_BASIC_CLASS || (flags & 1) != 0)
    return std::nullopt;
  auto& x = result.properties;
  auto skip_name = [&](int flag) {
    if ((flags & flag) != 0)
      in.short_string();
  };
  skip_name(AMQP_BASIC_CONTENT_TYPE_FLAG);
  skip_name(AMQP_BASIC_CONTENT_ENCODING_FLAG);
  if ((flags & AMQP_BASIC_HEADERS_FLAG) != 0)
    x.headers = in.table();
  if ((flags & AMQP_BASIC_DELIVERY_MODE_FLAG) != 0)
    x.persistent = in.number<std::uint8_t>() == AMQP_DELIVERY_PERSISTENT;
  if ((flags & AMQP_BASIC_PRIORITY_FLAG) != 0)
    in.number<std::uint8_t>();
  skip_name(AMQP_BASIC_CORRELATION_ID_FLAG);
  skip_name(AMQP_BASIC_REPLY_TO_FLAG);
  skip_name(AMQP_BASIC_EXPIRATION_FLAG);
  if ((flags & AMQP_BASIC_MESSAGE_ID_FLAG) != 0)
    x.message_id = in.short_string();
  if ((flags & AMQP_BASIC_TIMESTAMP_FLAG) != 0)
    x.timestamp = in.number<std::uint64_t>();
  if (!in.ok())
    return std::nullopt;
  extract_position(x);
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
  if (auto product = find_text(about, "product"))
    result.broker = *product;
  if (auto version = find_text(about, "version"))
    result.broker += " " + *version;
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

table_view::table_view(const field_table& fields) {
  struct append_value {
    amqp_field_value_t& to;

    void operator()(bool x) {
      to.kind = AMQP_FIELD_KIND_BOOLEAN;
      to.value.boolean = x;
    }

    void operator()(std::int64_t x) {
      to.kind = AMQP_FIELD_KIND_I64;
      to.value.i64 = x;
    }

    void operator()(double x) {
      to.kind = AMQP_FIELD_KIND_F64;
      to.value.f64 = x;
    }

    void operator()(const std::string& x) {
      to.kind = AMQP_FIELD_KIND_UTF8;
      to.value.bytes = bytes_of(x);
    }

    void operator()(const opaque_value&) {
      to.kind = AMQP_FIELD_KIND_VOID;
    }
  };
  entries_.reserve(fields.size() + 1);
  for (auto& [key, value] : fields)
    std::visit(append_value{append(key, AMQP_FIELD_KIND_VOID)}, value);
}

void table_view::add(std::string_view key, std::string_view text) {
  append(key, AMQP_FIELD_KIND_UTF8).value.bytes = bytes_of(text);
}

void table_view::add_flag(std::string_view key) {
  append(key, AMQP_FIELD_KIND_BOOLEAN).value.boolean = true;
}

void table_view::add(std::string_view key, const table_view& nested) {
  append(key, AMQP_FIELD_KIND_TABLE).value.table = nested.get();
}

amqp_table_t table_view::get() const {
  return {static_cast<int>(entries_.size()), const_cast<amqp_table_entry_t*>(entries_.data())};
}

amqp_field_value_t& table_view::append(std::string_view key, std::uint8_t kind) {
  auto& entry = entries_.emplace_back();
  entry.key = bytes_of(key);
  entry.value.kind = kind;
  return entry.value;
}

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

bool frame_writer::message(std::uint16_t channel, const publication& x) {
  auto rollback = buffer_.size();
  amqp_basic_publish_t publish{};
  publish.exchange = bytes_of(x.exchange);
  publish.routing_key = bytes_of(x.routing_key);
  publish.mandatory = x.mandatory;
  if (!method(channel, AMQP_BASIC_PUBLISH_METHOD, publish) || !encode_header(channel, x)) {
    buffer_.resize(rollback);
    return false;
  }
  std::string_view body = x.body ? std::string_view{*x.body} : std::string_view{};
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
    // Moving the rest is paid for by the bytes that were sent.
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

bool frame_writer::encode_header(std::uint16_t channel, const publication& x) {
  auto& from = x.properties;
  amqp_basic_properties_t to{};
  to._flags = AMQP_BASIC_DELIVERY_MODE_FLAG;
  to.delivery_mode = from.persistent ? AMQP_DELIVERY_PERSISTENT : AMQP_DELIVERY_NONPERSISTENT;
  if (!from.message_id.empty()) {
    to._flags |= AMQP_BASIC_MESSAGE_ID_FLAG;
    to.message_id = bytes_of(from.message_id);
  }
  if (from.timestamp != 0) {
    to._flags |= AMQP_BASIC_TIMESTAMP_FLAG;
    to.timestamp = from.timestamp;
  }
  table_view headers{from.headers};
  std::string position;
  if (from.position) {
    position = std::to_string(from.position->epoch) + ":" + std::to_string(from.position->sequence);
    headers.add(position_key, position);
  }
  to.headers = headers.get();
  if (to.headers.num_entries > 0)
    to._flags |= AMQP_BASIC_HEADERS_FLAG;
  // Class, weight and body size come before the properties.
  constexpr std::size_t fixed = 12;
  auto room = scratch_.size() - frame_overhead - fixed;
  auto size = amqp_encode_properties(AMQP_BASIC_CLASS, &to, {room, scratch_.data() + fixed});
  if (size < 0)
    return false;
  std::uint64_t body_size = x.body ? x.body->size() : 0;
  std::fill_n(scratch_.begin(), fixed, '\0');
  scratch_[1] = AMQP_BASIC_CLASS;
  for (std::size_t i = 0; i < sizeof(body_size); ++i)
    scratch_[fixed - 1 - i] = static_cast<char>(body_size >> (8 * i));
  append_frame(AMQP_FRAME_HEADER, channel,
               {scratch_.data(), fixed + static_cast<std::size_t>(size)});
  return true;
}

void frame_writer::append_frame(std::uint8_t type, std::uint16_t channel,
                                std::string_view payload) {
  append_number(type);
  append_number(channel);
  append_number(static_cast<std::uint32_t>(payload.size()));
  buffer_.append(payload);
  append_number(std::uint8_t{AMQP_FRAME_END});
}

template <class Unsigned>
void frame_writer::append_number(Unsigned x) {
  for (std::size_t i = sizeof(Unsigned); i-- > 0;)
    buffer_ += static_cast<char>(x >> (8 * i));
}

} // namespace actors::amqp
