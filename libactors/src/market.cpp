#include "actors/market.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "actors/error.hpp"
#include "decimal_access.hpp"
#include "json_error.hpp"

namespace actors {

namespace {

std::size_t skip_digits(std::string_view text, std::size_t pos) noexcept {
  while (pos < text.size() && text[pos] >= '0' && text[pos] <= '9')
    ++pos;
  return pos;
}

// What stands bare on the wire must follow JSON's grammar: digits on both sides
// of the point, and no leading zeros.
bool is_json_mantissa(std::string_view whole, std::string_view fraction, bool point) noexcept {
  return !whole.empty() && (whole.size() == 1 || whole.front() != '0')
         && (!point || !fraction.empty());
}

bool is_decimal(std::string_view text, bool quoted) noexcept {
  auto begin = text.starts_with('-') ? 1u : 0u;
  auto pos = skip_digits(text, begin);
  auto whole = text.substr(begin, pos - begin);
  auto point = pos < text.size() && text[pos] == '.';
  auto fraction = std::string_view{};
  if (point) {
    auto end = skip_digits(text, pos + 1);
    fraction = text.substr(pos + 1, end - pos - 1);
    pos = end;
  }
  if (whole.empty() && fraction.empty())
    return false;
  if (!quoted && !is_json_mantissa(whole, fraction, point))
    return false;
  if (pos == text.size())
    return true;
  if (text[pos] != 'e' && text[pos] != 'E')
    return false;
  ++pos;
  if (pos < text.size() && (text[pos] == '+' || text[pos] == '-'))
    ++pos;
  return pos < text.size() && skip_digits(text, pos) == text.size();
}

// Whether a decimal that no double can hold is too large rather than too small.
bool overflows(std::string_view text) noexcept {
  auto exponent = text.find_first_of("eE");
  if (exponent != std::string_view::npos)
    return text.substr(exponent + 1).front() != '-';
  auto whole = skip_digits(text, text.starts_with('-') ? 1 : 0);
  return whole > std::numeric_limits<double>::max_exponent10;
}

} // namespace

bool decimal_access::assign(decimal& out, std::string_view text, bool quoted) {
  if (!is_decimal(text, quoted))
    return false;
  out.text_ = text;
  out.quoted_ = quoted;
  return true;
}

bool decimal_access::assign_no_number(decimal& out, std::string_view text, bool quoted) {
  // As Python writes them: json.dumps, and "%f" or str.
  constexpr std::array<std::string_view, 7> bare{"null", "NaN", "Infinity", "-Infinity"};
  constexpr std::array<std::string_view, 7> in_quotes{"nan", "inf",      "-inf",
                                                      "NaN", "Infinity", "-Infinity"};
  auto& known = quoted ? in_quotes : bare;
  if (text.empty() || std::find(known.begin(), known.end(), text) == known.end())
    return false;
  out.text_ = text;
  out.quoted_ = quoted;
  return true;
}

void decimal_access::assign_number(decimal& out, std::string_view text) {
  out.text_ = text;
  out.quoted_ = false;
}

caf::expected<decimal> decimal::parse(std::string_view text, bool quoted) {
  decimal result;
  if (!decimal_access::assign(result, text, quoted))
    return make_error(ec::invalid_argument,
                      "a decimal number such as 8680.70 is wanted, found " + shown(text));
  return result;
}

decimal decimal::fixed(double x, int decimals) {
  decimal result;
  if (!std::isfinite(x))
    return result;
  constexpr int max_decimals = 64;
  char buf[std::numeric_limits<double>::max_exponent10 + max_decimals + 8];
  auto end = std::to_chars(buf, buf + sizeof buf, x, std::chars_format::fixed,
                           std::clamp(decimals, 0, max_decimals))
                 .ptr;
  result.text_.assign(buf, end);
  return result;
}

decimal decimal::shortest(double x) {
  decimal result;
  if (!std::isfinite(x))
    return result;
  result.text_.clear();
  append_json(result.text_, boost::json::value(x));
  if (result.text_.ends_with(".0"))
    result.text_.resize(result.text_.size() - 2);
  return result;
}

double decimal::value() const noexcept {
  auto result = std::numeric_limits<double>::quiet_NaN(); // null stays so
  auto [end, error] = std::from_chars(text_.data(), text_.data() + text_.size(), result);
  if (error != std::errc::result_out_of_range)
    return result;
  auto nearest = overflows(text_) ? std::numeric_limits<double>::infinity() : 0.0;
  return text_.starts_with('-') ? -nearest : nearest;
}

std::string_view to_string(trade_action x) noexcept {
  return x == trade_action::buy ? "BUY" : "SELL";
}

caf::expected<decimal> to_decimal(const boost::json::value& x) {
  if (auto text = x.if_string())
    return decimal::parse(*text);
  if (!x.is_number() || (x.is_double() && !std::isfinite(x.get_double())))
    return make_error(ec::malformed_json, "a price or quantity is a number or a string that holds "
                                          "one");
  if (x.is_double())
    return decimal::parse(decimal::shortest(x.get_double()).text(), false);
  std::string text;
  append_json(text, x);
  return decimal::parse(text, false);
}

boost::json::value to_value(const decimal& x) {
  if (x.quoted())
    return boost::json::value(x.text());
  auto parsed = json::parse(x.text());
  return parsed ? parsed->value() : boost::json::value(x.value());
}

} // namespace actors
