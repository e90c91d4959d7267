#include "amqp/field_reader.hpp"

#include <bit>
#include <string>

namespace actors::amqp {

namespace {

/// Returns the size of a value of the type in bytes; nothing if the value carries its size or
/// AMQP has no such type.
std::optional<std::size_t> fixed_size(char kind) noexcept {
  switch (kind) {
  case 'V':
    return 0;
  case 't':
  case 'b':
  case 'B':
    return 1;
  case 's':
  case 'u':
    return 2;
  case 'I':
  case 'i':
  case 'f':
    return 4;
  case 'D':
    return 5;
  case 'l':
  case 'L':
  case 'd':
  case 'T':
    return 8;
  default:
    return std::nullopt;
  }
}

constexpr std::size_t size_bytes = 4;

bool is_text(char kind) noexcept {
  return kind == 'S' || kind == 'x';
}

bool is_nest(char kind) noexcept {
  return kind == 'F' || kind == 'A';
}

template <class Signed, class Unsigned>
std::int64_t as_signed(Unsigned x) noexcept {
  return std::int64_t{static_cast<Signed>(x)};
}

} // namespace

std::string_view field_reader::bytes(std::size_t size) {
  if (size > input_.size()) {
    ok_ = false;
    input_ = {};
    return {};
  }
  auto result = input_.substr(0, size);
  input_.remove_prefix(size);
  return result;
}

field_table field_reader::table() {
  field_reader inner{long_string()};
  auto result = inner.fields();
  ok_ = ok_ && inner.ok();
  return result;
}

field_table field_reader::fields() {
  field_table result;
  while (ok_ && !input_.empty()) {
    auto key = short_string();
    auto next = value();
    if (ok_)
      result.emplace_back(key, std::move(next));
  }
  return result;
}

std::vector<field_value> field_reader::values() {
  std::vector<field_value> result;
  while (ok_ && !input_.empty()) {
    auto next = value();
    if (ok_)
      result.push_back(std::move(next));
  }
  return result;
}

// A value that none of our types holds exactly stays opaque, so that a copy of the message is
// exact.
field_value field_reader::value() {
  const auto kind = static_cast<char>(number<std::uint8_t>());
  switch (kind) {
  case 't':
    return number<std::uint8_t>() != 0;
  case 'b':
    return as_signed<std::int8_t>(number<std::uint8_t>());
  case 'B':
    return std::int64_t{number<std::uint8_t>()};
  case 's':
    return as_signed<std::int16_t>(number<std::uint16_t>());
  case 'u':
    return std::int64_t{number<std::uint16_t>()};
  case 'I':
    return as_signed<std::int32_t>(number<std::uint32_t>());
  case 'i':
    return std::int64_t{number<std::uint32_t>()};
  case 'l':
    return static_cast<std::int64_t>(number<std::uint64_t>());
  case 'f':
    return double{std::bit_cast<float>(number<std::uint32_t>())};
  case 'd':
    return std::bit_cast<double>(number<std::uint64_t>());
  case 'S':
    return std::string{long_string()};
  default:
    return opaque_value{kind, std::string{raw(kind)}};
  }
}

std::pair<char, std::string_view> field_reader::next_raw() {
  const auto kind = static_cast<char>(number<std::uint8_t>());
  return {kind, raw(kind)};
}

std::string_view field_reader::raw(char kind) {
  if (auto size = fixed_size(kind))
    return bytes(*size);
  auto from = input_;
  if (is_text(kind) || is_nest(kind)) {
    auto inner = long_string();
    return ok_ ? from.substr(0, size_bytes + inner.size()) : std::string_view{};
  }
  ok_ = false;
  input_ = {};
  return {};
}

// This function does not recurse: values may be nested as deep as a message is long, and a stack
// is smaller.
bool is_well_formed(const opaque_value& nested) {
  struct nest {
    field_reader in;
    bool has_keys;
  };
  // The value forms a list of one.
  auto bytes = nested.kind + nested.bytes;
  std::vector<nest> open{{field_reader{bytes}, false}};
  open.front().in.next_raw();
  if (!open.front().in.done())
    return false;
  open.front() = {field_reader{bytes}, false};
  while (!open.empty()) {
    auto& now = open.back();
    if (now.in.done()) {
      open.pop_back();
      continue;
    }
    if (now.has_keys)
      now.in.short_string();
    auto next = now.in.next_raw();
    if (!now.in.ok())
      return false;
    if (is_nest(next.first))
      open.push_back({field_reader{next.second.substr(size_bytes)}, next.first == 'F'});
  }
  return true;
}

} // namespace actors::amqp
