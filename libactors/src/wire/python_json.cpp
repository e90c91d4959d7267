#include "wire/python_json.hpp"

#include <charconv>
#include <cstdint>
#include <optional>

namespace actors {

namespace {

constexpr std::uint32_t replacement = 0xFFFD;

bool is_high_surrogate(std::uint32_t x) noexcept {
  return x >= 0xD800 && x < 0xDC00;
}

bool is_low_surrogate(std::uint32_t x) noexcept {
  return x >= 0xDC00 && x < 0xE000;
}

void append_utf8(std::string& out, std::uint32_t code) {
  auto tail = [&](int shift) { out += static_cast<char>(0x80 | ((code >> shift) & 0x3F)); };
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | (code >> 6));
    tail(0);
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | (code >> 12));
    tail(6);
    tail(0);
  } else {
    out += static_cast<char>(0xF0 | (code >> 18));
    tail(12);
    tail(6);
    tail(0);
  }
}

// Takes "\uXXXX" off the front of a text.
std::optional<std::uint32_t> take_code_unit(std::string_view& text) noexcept {
  std::uint32_t result = 0;
  if (text.size() < 6 || !text.starts_with("\\u"))
    return std::nullopt;
  auto first = text.data() + 2;
  if (std::from_chars(first, first + 4, result, 16).ptr != first + 4)
    return std::nullopt;
  text.remove_prefix(6);
  return result;
}

bool take_unicode_escape(std::string_view& text, std::string& out) {
  auto unit = take_code_unit(text);
  if (!unit)
    return false;
  if (is_high_surrogate(*unit)) {
    auto behind = text;
    if (auto low = take_code_unit(behind); low && is_low_surrogate(*low)) {
      text = behind;
      append_utf8(out, 0x10000 + ((*unit - 0xD800) << 10) + (*low - 0xDC00));
      return true;
    }
  }
  auto alone = is_high_surrogate(*unit) || is_low_surrogate(*unit);
  append_utf8(out, alone ? replacement : *unit);
  return true;
}

bool take_escape(std::string_view& text, std::string& out) {
  constexpr std::string_view letters = "\"\\/bfnrt";
  constexpr std::string_view meanings = "\"\\/\b\f\n\r\t";
  if (text.starts_with("\\u"))
    return take_unicode_escape(text, out);
  auto i = text.size() < 2 ? letters.npos : letters.find(text[1]);
  if (i == letters.npos)
    return false;
  out += meanings[i];
  text.remove_prefix(2);
  return true;
}

std::size_t count_digits(std::string_view text) noexcept {
  return std::min(text.find_first_not_of("0123456789"), text.size());
}

} // namespace

bool take_python_string(std::string_view& text, std::string& out) {
  if (!text.starts_with('"'))
    return false;
  text.remove_prefix(1);
  while (!text.empty() && text.front() != '"') {
    if (text.front() == '\\') {
      if (!take_escape(text, out))
        return false;
      continue;
    }
    if (static_cast<unsigned char>(text.front()) < 0x20)
      return false;
    out += text.front();
    text.remove_prefix(1);
  }
  if (text.empty())
    return false;
  text.remove_prefix(1);
  return true;
}

std::string_view take_number(std::string_view& text) noexcept {
  auto rest = text;
  auto take = [&rest](std::string_view any) {
    auto found = !rest.empty() && any.find(rest.front()) != any.npos;
    rest.remove_prefix(found ? 1 : 0);
    return found;
  };
  auto take_digits = [&rest] {
    auto count = count_digits(rest);
    rest.remove_prefix(count);
    return count > 0;
  };
  take("-");
  if (!take("0") && !take_digits())
    return {};
  if (rest.starts_with('.') && (take("."), !take_digits()))
    return {};
  if (take("eE")) {
    take("+-");
    if (!take_digits())
      return {};
  }
  auto result = text.substr(0, text.size() - rest.size());
  text = rest;
  return result;
}

} // namespace actors
