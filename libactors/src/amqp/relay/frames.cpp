#include "amqp/relay/frames.hpp"

#include <bit>
#include <chrono>
#include <concepts>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

#include "amqp/shared_properties.hpp"

namespace actors::amqp {

namespace {

// -- the fields of frames ---------------------------------------------------------------

template <class T, class U>
concept is = std::same_as<std::remove_const_t<T>, U>;

// Reading and writing share these lists of fields.

auto fields(is<stream_position> auto& x) {
  return std::tie(x.epoch, x.sequence);
}

auto fields(is<properties> auto& x) {
  return std::tie(x.message_id, x.timestamp, x.persistent, x.expiration, x.position, x.headers,
                  x.others);
}

template <class T>
concept are_others = is<T, other_properties> || is<T, other_properties_view>;

auto fields(are_others auto& x) {
  return std::tie(x.content_type, x.content_encoding, x.correlation_id, x.reply_to, x.type,
                  x.app_id, x.priority);
}

auto fields(is<opaque_value> auto& x) {
  return std::tie(x.kind, x.bytes);
}

auto fields(is<publication> auto& x) {
  return std::tie(x.id, x.exchange, x.routing_key, x.properties, x.mandatory, x.body);
}

auto fields(is<delivery> auto& x) {
  return std::tie(x.consumer, x.tag, x.redelivered, x.exchange, x.routing_key, x.properties, x.body,
                  x.unreadable);
}

auto fields(is<settlement> auto& x) {
  return std::tie(x.tag, x.outcome, x.multiple);
}

auto fields(is<exchange> auto& x) {
  return std::tie(x.name, x.type, x.durable, x.auto_delete, x.arguments);
}

auto fields(is<queue> auto& x) {
  return std::tie(x.name, x.durable, x.exclusive, x.auto_delete, x.arguments);
}

auto fields(is<binding> auto& x) {
  return std::tie(x.exchange, x.queue, x.routing_key);
}

auto fields(is<consumer> auto& x) {
  return std::tie(x.id, x.queue, x.prefetch_count, x.no_ack, x.exclusive, x.arguments, x.group);
}

auto fields(is<failure> auto& x) {
  return std::tie(x.code, x.text);
}

auto fields(is<confirmation> auto& x) {
  return std::tie(x.id, x.accepted);
}

auto fields(is<returned_message> auto& x) {
  return std::tie(x.reason, x.exchange, x.routing_key, x.properties);
}

auto fields(is<reply> auto& x) {
  return std::tie(x.id, x.error, x.queue, x.messages, x.consumers);
}

auto fields(is<declare_exchange> auto& x) {
  return std::tie(x.spec, x.passive);
}

auto fields(is<declare_queue> auto& x) {
  return std::tie(x.spec, x.passive);
}

auto fields(is<delete_queue> auto& x) {
  return std::tie(x.name);
}

auto fields(is<bind_queue> auto& x) {
  return std::tie(x.spec);
}

auto fields(is<unbind_queue> auto& x) {
  return std::tie(x.spec);
}

auto fields(is<start_consumer> auto& x) {
  return std::tie(x.spec);
}

auto fields(is<cancel_consumer> auto& x) {
  return std::tie(x.id);
}

auto fields(is<relay_hello> auto& x) {
  return std::tie(x.magic, x.protocol, x.software, x.name, x.heartbeat_ms);
}

auto fields(is<relay_tune> auto& x) {
  return std::tie(x.max_frame, x.known);
}

auto fields(is<request_command> auto& x) {
  return std::tie(x.id, x.op);
}

auto fields(is<publish_command> auto& x) {
  return std::tie(x.generation, x.items);
}

auto fields(is<settle_command> auto& x) {
  return std::tie(x.generation, x.items);
}

auto fields(is<relay_credit> auto& x) {
  return std::tie(x.taken);
}

auto fields(is<close_command> auto&) {
  return std::tie();
}

auto fields(is<relay_heartbeat> auto&) {
  return std::tie();
}

auto fields(is<relay_refusal> auto& x) {
  return std::tie(x.protocol, x.reason);
}

auto fields(is<relay_welcome> auto& x) {
  return std::tie(x.broker, x.max_frame);
}

auto fields(is<relay_deliveries> auto& x) {
  return std::tie(x.generation, x.items);
}

auto fields(is<relay_confirmations> auto& x) {
  return std::tie(x.items);
}

auto fields(is<relay_blocked> auto& x) {
  return std::tie(x.reason);
}

auto fields(is<relay_unblocked> auto&) {
  return std::tie();
}

auto fields(is<relay_cancelled> auto& x) {
  return std::tie(x.id);
}

auto fields(is<closed_channel> auto& x) {
  return std::tie(x.which, x.reason, x.generation, x.consumers);
}

auto fields(is<broker_limits> auto& x) {
  return std::tie(x.channels, x.consumers_per_channel, x.message_size, x.transient_queues);
}

auto fields(is<relay_refused> auto& x) {
  return std::tie(x.publication, x.reason);
}

auto fields(is<relay_suspected> auto& x) {
  return std::tie(x.requests);
}

auto fields(is<relay_down> auto& x) {
  return std::tie(x.reason);
}

bool in_range(exchange_type x) noexcept {
  return x <= exchange_type::headers;
}

bool in_range(settlement::verdict x) noexcept {
  return x <= settlement::verdict::release;
}

bool in_range(channel x) noexcept {
  return x >= channel::topology && x <= channel::publishing;
}

bool in_range(ec x) noexcept {
  return x <= ec::shutting_down;
}

// -- writing ------------------------------------------------------------------------------

template <std::unsigned_integral T>
void write_number(std::string& out, T x) {
  for (auto shift = static_cast<int>(sizeof(T)) * 8 - 8; shift >= 0; shift -= 8)
    out += static_cast<char>(static_cast<unsigned char>(x >> shift));
}

template <std::integral T>
void write(std::string& out, T x) {
  if constexpr (std::same_as<T, bool>)
    out += static_cast<char>(x ? 1 : 0);
  else
    write_number(out, static_cast<std::make_unsigned_t<T>>(x));
}

template <class T>
requires std::is_enum_v<T>
void write(std::string& out, T x) {
  write_number(out, static_cast<std::underlying_type_t<T>>(x));
}

void write(std::string& out, double x) {
  write_number(out, std::bit_cast<std::uint64_t>(x));
}

void write(std::string& out, const std::string& x) {
  write_number(out, static_cast<std::uint32_t>(x.size()));
  out += x;
}

void write(std::string& out, const body_ptr& x) {
  write(out, x ? *x : std::string{});
}

void write(std::string& out, std::chrono::milliseconds x) {
  write(out, std::int64_t{x.count()});
}

// These templates are declared first, because each of them may call the others.
template <class T>
void write(std::string& out, const std::vector<T>& items);
template <class T, class U>
void write(std::string& out, const std::pair<T, U>& x);
template <class T>
void write(std::string& out, const std::optional<T>& x);
template <class T>
void write(std::string& out, const std::shared_ptr<const T>& x);
template <class... Ts>
void write(std::string& out, const std::variant<Ts...>& value);

template <class T>
requires requires(const T& x) {
  fields(x);
}
void write(std::string& out, const T& x) {
  std::apply([&](const auto&... ys) { (write(out, ys), ...); }, fields(x));
}

template <class T>
void write(std::string& out, const std::vector<T>& items) {
  write_number(out, static_cast<std::uint32_t>(items.size()));
  for (const auto& x : items)
    write(out, x);
}

template <class T, class U>
void write(std::string& out, const std::pair<T, U>& x) {
  write(out, x.first);
  write(out, x.second);
}

template <class T>
void write(std::string& out, const std::optional<T>& x) {
  write(out, x.has_value());
  if (x)
    write(out, *x);
}

template <class T>
void write(std::string& out, const std::shared_ptr<const T>& x) {
  write(out, x != nullptr);
  if (x)
    write(out, *x);
}

template <class... Ts>
void write(std::string& out, const std::variant<Ts...>& value) {
  out += static_cast<char>(value.index());
  std::visit([&](const auto& x) { write(out, x); }, value);
}

template <class Frame>
void append_frame(std::string& out, const Frame& x) {
  const auto start = out.size();
  out.append(4, '\0');
  write(out, x);
  std::string size;
  write_number(size, static_cast<std::uint32_t>(out.size() - start - 4));
  out.replace(start, 4, size);
}

// -- reading ------------------------------------------------------------------------------

/// Reads fields; all fields after a malformed one are malformed as well.
class frame_field_reader {
public:
  explicit frame_field_reader(std::string_view bytes) noexcept : rest_(bytes) {
    // nop
  }

  /// Whether all fields were well-formed, and no bytes are left.
  bool done() const noexcept {
    return ok_ && rest_.empty();
  }

  template <std::integral T>
  void read(T& x) {
    if constexpr (std::same_as<T, bool>)
      x = number<std::uint8_t>() != 0;
    else
      x = static_cast<T>(number<std::make_unsigned_t<T>>());
  }

  template <class T>
  requires std::is_enum_v<T>
  void read(T& x) {
    x = static_cast<T>(number<std::underlying_type_t<T>>());
    if (!in_range(x))
      fail();
  }

  void read(double& x) {
    x = std::bit_cast<double>(number<std::uint64_t>());
  }

  void read(std::string& x) {
    x = take(number<std::uint32_t>());
  }

  void read(std::chrono::milliseconds& x) {
    x = std::chrono::milliseconds{static_cast<std::int64_t>(number<std::uint64_t>())};
  }

  void read(body_ptr& x) {
    x = std::make_shared<const std::string>(take(number<std::uint32_t>()));
  }

  template <class T>
  void read(std::vector<T>& items) {
    const auto count = number<std::uint32_t>();
    if (count > rest_.size()) // an item takes at least one byte
      return fail();
    items.reserve(std::min<std::size_t>(count, max_reserved));
    for (std::uint32_t i = 0; i < count && ok_; ++i)
      read(items.emplace_back());
  }

  template <class T, class U>
  void read(std::pair<T, U>& x) {
    read(x.first);
    read(x.second);
  }

  template <class T>
  void read(std::optional<T>& x) {
    if (number<std::uint8_t>() != 0)
      read(x.emplace());
  }

  void read(std::string_view& x) {
    x = take(number<std::uint32_t>());
  }

  void read(std::shared_ptr<const other_properties>& x) {
    if (number<std::uint8_t>() == 0)
      return;
    other_properties_view value;
    read(value);
    x = share(value);
  }

  template <class T>
  void read(std::shared_ptr<const T>& x) {
    if (number<std::uint8_t>() == 0)
      return;
    auto value = std::make_shared<T>();
    read(*value);
    x = std::move(value);
  }

  template <class... Ts>
  void read(std::variant<Ts...>& x) {
    read_alternative(x, number<std::uint8_t>(), std::index_sequence_for<Ts...>{});
  }

  template <class T>
  requires requires(T& x) {
    fields(x);
  }
  void read(T& x) {
    std::apply([&](auto&... ys) { (read(ys), ...); }, fields(x));
  }

private:
  /// The size of a list is the sender's word, so no more room than this is reserved in advance.
  static constexpr std::size_t max_reserved = 1024;

  void fail() noexcept {
    ok_ = false;
    rest_ = {};
  }

  std::string_view take(std::size_t size) noexcept {
    if (size > rest_.size()) {
      fail();
      return {};
    }
    auto result = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return result;
  }

  template <std::unsigned_integral T>
  T number() noexcept {
    std::uint64_t result = 0;
    for (auto c : take(sizeof(T)))
      result = (result << 8) | static_cast<unsigned char>(c);
    return static_cast<T>(result);
  }

  template <class Variant, std::size_t... Is>
  void read_alternative(Variant& x, std::size_t index, std::index_sequence<Is...>) {
    if (!((index == Is && (read(x.template emplace<Is>()), true)) || ...))
      fail();
  }

  std::string_view rest_;
  bool ok_ = true;
};

template <class Frame>
std::optional<Frame> decode(std::string_view bytes) {
  frame_field_reader in{bytes};
  Frame result;
  in.read(result);
  if (!in.done())
    return std::nullopt;
  return result;
}

/// The largest buffer that a stream keeps between frames, in bytes.
constexpr std::size_t kept_capacity = 1024 * 1024;

} // namespace

void append(std::string& out, const host_frame& x) {
  append_frame(out, x);
}

void append(std::string& out, const relay_frame& x) {
  append_frame(out, x);
}

std::optional<host_frame> decode_host_frame(std::string_view bytes) {
  return decode<host_frame>(bytes);
}

std::optional<relay_frame> decode_relay_frame(std::string_view bytes) {
  return decode<relay_frame>(bytes);
}

// -- frame_reader ---------------------------------------------------------------------------

void frame_reader::add(std::string_view bytes) {
  bytes_.erase(0, std::exchange(offset_, 0));
  // A sender of one large frame must not keep its buffer for ever.
  if (bytes_.empty() && bytes_.capacity() > kept_capacity)
    bytes_ = {};
  bytes_ += bytes;
}

std::optional<std::string_view> frame_reader::next() {
  const auto size = size_of_next();
  if (size == 0 || size > max_size_ || bytes_.size() - offset_ < frame_size_bytes + size)
    return std::nullopt;
  auto result = std::string_view{bytes_}.substr(offset_ + frame_size_bytes, size);
  offset_ += frame_size_bytes + size;
  return result;
}

std::optional<std::size_t> frame_reader::wrong_size() const noexcept {
  if (bytes_.size() - offset_ < frame_size_bytes)
    return std::nullopt;
  const auto size = size_of_next();
  return size == 0 || size > max_size_ ? std::optional{size} : std::nullopt;
}

std::size_t frame_reader::size_of_next() const noexcept {
  if (bytes_.size() - offset_ < frame_size_bytes)
    return 0;
  std::size_t result = 0;
  for (auto c : std::string_view{bytes_}.substr(offset_, frame_size_bytes))
    result = (result << 8) | static_cast<unsigned char>(c);
  return result;
}

} // namespace actors::amqp
