#include "actors/market.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "actors/error.hpp"
#include "wire/decimal_access.hpp"
#include "wire/json_error.hpp"

namespace actors {

namespace {

// Pointers are faster here, where each price and quantity of each book passes.
const char* skip_digits(const char* pos, const char* end) noexcept {
  while (pos != end && static_cast<unsigned char>(*pos - '0') < 10)
    ++pos;
  return pos;
}

bool is_exponent(const char* pos, const char* end) noexcept {
  if (*pos != 'e' && *pos != 'E')
    return false;
  ++pos;
  if (pos != end && (*pos == '+' || *pos == '-'))
    ++pos;
  return pos != end && skip_digits(pos, end) == end;
}

// A bare number on the wire must follow JSON's grammar: digits on both sides of the point, and no
// leading zeros.
bool is_decimal(std::string_view text, bool quoted) noexcept {
  auto end = text.data() + text.size();
  auto whole = text.data() + text.starts_with('-');
  auto point = skip_digits(whole, end);
  auto has_point = point != end && *point == '.';
  auto fraction = point + has_point;
  auto mantissa_end = skip_digits(fraction, end);
  auto no_whole = point == whole;
  auto no_fraction = mantissa_end == fraction;
  if (no_whole && no_fraction)
    return false;
  if (!quoted && (no_whole || (has_point && no_fraction) || (*whole == '0' && point - whole > 1)))
    return false;
  return mantissa_end == end || is_exponent(mantissa_end, end);
}

// Whether a decimal that no double can hold is too large rather than too small.
bool overflows(std::string_view text) noexcept {
  auto exponent = text.find_first_of("eE");
  if (exponent != std::string_view::npos)
    return text.substr(exponent + 1).front() != '-';
  auto begin = text.data();
  auto whole = skip_digits(begin + text.starts_with('-'), begin + text.size());
  return whole - begin > std::numeric_limits<double>::max_exponent10;
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
  // Python writes these texts by json.dumps, "%f" and str.
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
  auto result = std::numeric_limits<double>::quiet_NaN(); // the result for null
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
