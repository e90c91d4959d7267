#include "amqp/wire_rules.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

#include "amqp/field_reader.hpp"
#include "amqp/overloaded.hpp"

namespace actors::amqp {

namespace {

/// The number of bytes shown of a text that is too long for AMQP.
constexpr std::size_t shown_size = 60;

/// Ten years, the longest expiration that RabbitMQ takes.
constexpr std::chrono::milliseconds max_expiration{315'360'000'000};

/// The number of digits that surely fit a broker's numbers.
constexpr std::size_t max_age_digits = 9;

constexpr std::string_view offset_key = "x-stream-offset";

constexpr std::uint64_t every_byte(std::uint8_t x) {
  return 0x0101010101010101ull * x;
}

/// Whether all bytes are printable ASCII, as in nearly every name. The function looks at eight
/// bytes at a time.
bool is_plain(std::string_view text) noexcept {
  constexpr auto high_bits = every_byte(0x80);
  constexpr auto blanks = every_byte(0x20);
  constexpr auto last = every_byte(0x7F);
  auto odd = [](std::uint64_t word) {
    const auto below_blank = (word - blanks) & ~word;
    const auto same_as_last = word ^ last;
    const auto is_last = (same_as_last - every_byte(1)) & ~same_as_last;
    return ((word | below_blank | is_last) & high_bits) != 0;
  };
  while (!text.empty()) {
    const auto size = std::min(text.size(), sizeof(std::uint64_t));
    auto word = blanks;
    std::memcpy(&word, text.data(), size);
    if (odd(word))
      return false;
    text.remove_prefix(size);
  }
  return true;
}

/// Returns how many bytes at the front are ASCII, in whole words of eight: nearly every text is
/// ASCII.
std::size_t ascii_size(std::string_view text) noexcept {
  std::size_t result = 0;
  for (std::uint64_t word = 0; text.size() - result >= sizeof(word); result += sizeof(word)) {
    std::memcpy(&word, text.data() + result, sizeof(word));
    if ((word & every_byte(0x80)) != 0)
      break;
  }
  return result;
}

bool is_control(char x) noexcept {
  return (x >= 0 && x < 0x20) || x == 0x7F;
}

/// Returns the size of the first character in bytes; 0 if it is not UTF-8.
std::size_t character_size(std::string_view text) noexcept {
  auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  auto lead = byte(0);
  if (lead < 0x80)
    return 1;
  const auto size = static_cast<std::size_t>(std::countl_one(lead));
  if (size < 2 || size > 4 || text.size() < size)
    return 0;
  auto code = static_cast<std::uint32_t>(lead & (0x7Fu >> size));
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80)
      return 0;
    code = code << 6 | (byte(i) & 0x3Fu);
  }
  constexpr std::uint32_t smallest[] = {0x80, 0x800, 0x10000};
  const auto surrogate = code >= 0xD800 && code < 0xE000;
  return code >= smallest[size - 2] && code <= 0x10FFFF && !surrogate ? size : 0;
}

// Each of the following functions returns the problem and its remedy, or an empty text.

std::string bytes_text(std::size_t size) {
  return std::to_string(size) + " bytes, and AMQP carries " + std::to_string(max_short_string);
}

std::string short_text(const char* label, std::string_view text) {
  if (text.size() > max_short_string)
    return std::string{label} + " has " + bytes_text(text.size()) + ": choose a shorter one";
  if (!is_utf8(text))
    return std::string{label} + " is not UTF-8: write it in UTF-8";
  return {};
}

/// Checks a routing key or another short text that RabbitMQ does not interpret.
std::string key(const char* label, std::string_view text) {
  return text.size() <= max_short_string && is_plain(text) ? std::string{}
                                                           : short_text(label, text);
}

// Checks a name. RabbitMQ strips line breaks from declared names, and from no others.
std::string name(const char* label, std::string_view text) {
  if (text.size() <= max_short_string && is_plain(text))
    return {};
  auto problem = short_text(label, text);
  if (problem.empty() && std::any_of(text.begin(), text.end(), is_control))
    problem = std::string{label} + " has a line break or another control character: leave it out";
  return problem;
}

/// Checks a property that RabbitMQ carries without a look at its bytes.
std::string property(const char* label, std::string_view text) {
  if (text.size() <= max_short_string)
    return {};
  return std::string{label} + " has " + bytes_text(text.size()) + ": choose a shorter one";
}

std::string field(const std::string& key, const field_value& value) {
  if (key.size() > max_short_string)
    return "has a key of " + bytes_text(key.size()) + ": choose a shorter one";
  if (auto* raw = std::get_if<opaque_value>(&value); raw && !is_well_formed(*raw))
    return "is no value of AMQP: leave it as it came";
  return {};
}

std::string arguments(const field_table& table) {
  for (auto& [key, value] : table) {
    auto problem = field(key, value);
    auto* text = std::get_if<std::string>(&value);
    if (problem.empty() && !(is_utf8(key) && (!text || is_utf8(*text))))
      problem = "is not UTF-8: write it in UTF-8";
    if (!problem.empty())
      return "argument '" + printable(key) + "' " + problem;
  }
  return {};
}

// RabbitMQ closes the channel if one of these two headers is no list.
bool is_further_address(std::string_view key) noexcept {
  return key == "CC" || key == "BCC";
}

std::string headers(const field_table& table) {
  for (auto& [key, value] : table) {
    auto problem = field(key, value);
    if (problem.empty() && is_further_address(key)) {
      auto* list = std::get_if<opaque_value>(&value);
      if (!list || list->kind != 'A')
        problem = "is no list of routing keys: leave it out";
    }
    if (!problem.empty())
      return "header '" + printable(key) + "' " + problem;
  }
  return {};
}

std::string first_of(std::initializer_list<std::string> problems) {
  for (auto& problem : problems)
    if (!problem.empty())
      return problem;
  return {};
}

// -- consumers ----------------------------------------------------------------------

/// Whether the text is a time span as RabbitMQ writes it, e.g. "1h".
bool is_age(std::string_view text) noexcept {
  constexpr std::string_view units = "YMDhms";
  return text.size() > 1 && text.size() - 1 <= max_age_digits
         && units.find(text.back()) != std::string_view::npos
         && std::all_of(text.begin(), text.end() - 1, [](char c) { return c >= '0' && c <= '9'; });
}

bool is_offset(const field_value& offset) noexcept {
  if (auto* number = std::get_if<std::int64_t>(&offset))
    return *number >= 0;
  auto* text = std::get_if<std::string>(&offset);
  return text && (*text == "first" || *text == "last" || *text == "next" || is_age(*text));
}

std::string offset_text(const field_value& offset) {
  auto visitor = overloaded{
      [](bool x) { return std::string{x ? "true" : "false"}; },
      [](const std::string& x) { return "'" + printable(x) + "'"; },
      [](const opaque_value&) { return std::string{"that"}; },
      [](auto x) { return std::to_string(x); },
  };
  return std::visit(visitor, offset);
}

std::string stream_reader(const consumer& wanted) {
  auto offset = std::find_if(wanted.arguments.begin(), wanted.arguments.end(),
                             [](auto& x) { return x.first == offset_key; });
  if (offset == wanted.arguments.end())
    return {};
  if (!is_offset(offset->second))
    return offset_text(offset->second)
           + " is no place in a stream: x-stream-offset is \"first\", \"last\", \"next\", an "
             "offset from 0 on or an age as \"1h\"";
  if (wanted.no_ack)
    return "a stream is not read without acknowledgements: acknowledge, or leave x-stream-offset "
           "out";
  if (wanted.prefetch_count == 0)
    return "a stream is not read without a prefetch count: set one, or leave x-stream-offset out";
  return {};
}

// -- operations -----------------------------------------------------------------------

struct operation_problem {
  std::string operator()(const declare_exchange& x) const {
    return first_of({name("the exchange's name", x.spec.name), arguments(x.spec.arguments)});
  }

  std::string operator()(const declare_queue& x) const {
    return first_of({name("the queue's name", x.spec.name), arguments(x.spec.arguments)});
  }

  std::string operator()(const delete_queue& x) const {
    return name("the queue's name", x.name);
  }

  std::string operator()(const bind_queue& x) const {
    return (*this)(x.spec);
  }

  std::string operator()(const unbind_queue& x) const {
    return (*this)(x.spec);
  }

  std::string operator()(const start_consumer& x) const {
    return first_of({name("the queue's name", x.spec.queue), arguments(x.spec.arguments),
                     stream_reader(x.spec)});
  }

  std::string operator()(const cancel_consumer&) const {
    return {};
  }

  std::string operator()(const binding& x) const {
    return first_of({name("the queue's name", x.queue), name("the exchange's name", x.exchange),
                     key("the routing key", x.routing_key)});
  }
};

// -- publications ---------------------------------------------------------------------

std::string others_problem(const other_properties& others) {
  return first_of({property("the content type", others.content_type),
                   property("the content encoding", others.content_encoding),
                   property("the correlation id", others.correlation_id),
                   property("the reply-to", others.reply_to), property("the type", others.type),
                   property("the app id", others.app_id)});
}

// The checks come one after the other, so that the usual publication costs no allocation.
std::string publication_problem(const publication& message) {
  auto& with = message.properties;
  if (auto problem = name("the exchange's name", message.exchange); !problem.empty())
    return problem;
  if (auto problem = key("the routing key", message.routing_key); !problem.empty())
    return problem;
  if (auto problem = property("the message id", with.message_id); !problem.empty())
    return problem;
  if (auto problem = headers(with.headers); !problem.empty())
    return problem;
  if (with.expiration.count() < 0 || with.expiration > max_expiration)
    return "an expiration of " + std::to_string(with.expiration.count())
           + " ms is none that RabbitMQ takes: choose one from 0 ms to ten years";
  return with.others ? others_problem(*with.others) : std::string{};
}

} // namespace

failure check(const operation& x) {
  auto problem = std::visit(operation_problem{}, x);
  if (problem.empty())
    return {};
  return {ec::invalid_argument, to_string(x) + ": " + problem};
}

failure check(const publication& message) {
  auto problem = publication_problem(message);
  if (problem.empty())
    return {};
  return {ec::invalid_argument, "publish to exchange '" + printable(message.exchange)
                                    + "' with routing key '" + printable(message.routing_key)
                                    + "': " + problem};
}

bool is_utf8(std::string_view text) noexcept {
  for (;;) {
    text.remove_prefix(ascii_size(text));
    if (text.empty())
      return true;
    auto size = character_size(text);
    if (size == 0)
      return false;
    text.remove_prefix(size);
  }
}

std::string printable(std::string_view text) {
  const auto whole = text.size() <= max_short_string;
  if (!whole)
    text = text.substr(0, shown_size);
  if (whole && is_plain(text))
    return std::string{text};
  constexpr std::string_view digits = "0123456789abcdef";
  std::string result;
  while (!text.empty()) {
    auto size = character_size(text);
    // The cut may split the last character, which is left out then.
    if (size == 0 && !whole && text.size() < 4 && (text.front() & 0xC0) == 0xC0)
      break;
    const auto last = static_cast<unsigned char>(text[size == 2 ? 1 : 0]);
    const auto second_set = size == 2 && text.front() == '\xC2' && last < 0xA0;
    if (size == 0 || is_control(text.front()) || second_set) {
      size = 1;
      const auto byte = static_cast<unsigned char>(text.front());
      result += "\\x";
      result += digits[byte >> 4];
      result += digits[byte & 15];
    } else {
      result += text.substr(0, size);
    }
    text.remove_prefix(size);
  }
  return whole ? result : result + "...";
}

std::string quoted(std::string_view name) {
  return "'" + printable(name) + "'";
}

} // namespace actors::amqp
