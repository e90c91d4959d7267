#include "actors/json.hpp"

#include <charconv>
#include <cmath>

#include <boost/json/parser.hpp>
#include <boost/json/value_stack.hpp>

#include "actors/error.hpp"
#include "wire/python_json.hpp"
#include "wire/sax.hpp"

namespace actors {

namespace {

template <class Integer>
void append_integer(std::string& out, Integer x) {
  char buf[24];
  out.append(buf, std::to_chars(buf, buf + sizeof buf, x).ptr);
}

// Writes a double like Python's repr: the same digits, and an exponent for the same numbers. A
// whole number keeps its fraction: otherwise it would be read back as an integer.
void append_double(std::string& out, double x) {
  if (!std::isfinite(x)) {
    out += "null";
    return;
  }
  auto magnitude = std::fabs(x);
  auto exponent = magnitude >= 1e16 || (magnitude != 0 && magnitude < 1e-4);
  char buf[40];
  auto end = std::to_chars(buf, buf + sizeof buf, x,
                           exponent ? std::chars_format::scientific : std::chars_format::fixed)
                 .ptr;
  std::string_view text{buf, static_cast<std::size_t>(end - buf)};
  out += text;
  if (text.find_first_of(".e") == std::string_view::npos)
    out += ".0";
}

void append_array(std::string& out, const boost::json::array& elements) {
  out += '[';
  auto separator = std::string_view{};
  for (auto& x : elements) {
    out += separator;
    append_json(out, x);
    separator = ", ";
  }
  out += ']';
}

void append_object(std::string& out, const boost::json::object& members) {
  out += '{';
  auto separator = std::string_view{};
  for (auto& [key, x] : members) {
    out += separator;
    append_quoted(out, key);
    out += ": ";
    append_json(out, x);
    separator = ", ";
  }
  out += '}';
}

// Returns the letter of JSON's short escape, 0 for other characters.
char short_escape(char c) noexcept {
  switch (c) {
  case '"':
  case '\\':
    return c;
  case '\b':
    return 'b';
  case '\f':
    return 'f';
  case '\n':
    return 'n';
  case '\r':
    return 'r';
  case '\t':
    return 't';
  default:
    return 0;
  }
}

bool needs_escape(char c) noexcept {
  return c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20;
}

void append_escaped(std::string& out, char c) {
  out += '\\';
  if (auto letter = short_escape(c)) {
    out += letter;
    return;
  }
  constexpr std::string_view digits = "0123456789abcdef";
  auto code = static_cast<unsigned char>(c);
  out += "u00";
  out += digits[code >> 4];
  out += digits[code & 0xF];
}

/// Builds a value from a parser's events.
class value_builder : public sax_handler {
public:
  value_builder() {
    stack_.reset();
  }

  bool on_object_end(std::size_t size, error_code&) {
    stack_.push_object(size);
    return true;
  }

  bool on_array_end(std::size_t size, error_code&) {
    stack_.push_array(size);
    return true;
  }

  bool on_key(string_view text, std::size_t, error_code&) {
    stack_.push_key(text);
    return true;
  }

  bool on_string(string_view text, std::size_t, error_code&) {
    stack_.push_string(text);
    return true;
  }

  bool on_int64(std::int64_t x, string_view, error_code&) {
    stack_.push_int64(x);
    return true;
  }

  bool on_uint64(std::uint64_t x, string_view, error_code&) {
    stack_.push_uint64(x);
    return true;
  }

  bool on_double(double x, string_view, error_code&) {
    stack_.push_double(x);
    return true;
  }

  bool on_no_number(double x, string_view, error_code&) {
    stack_.push_double(x);
    return true;
  }

  bool on_bool(bool x, error_code&) {
    stack_.push_bool(x);
    return true;
  }

  bool on_null(error_code&) {
    stack_.push_null();
    return true;
  }

  boost::json::value release() {
    return stack_.release();
  }

private:
  boost::json::value_stack stack_;
};

} // namespace

json::json() : text_("null") {
  // nop
}

json::json(boost::json::value content) : value_(std::move(content)) {
  append_json(text_, value_);
}

json::json(std::string text, boost::json::value content)
    : text_(std::move(text)), value_(std::move(content)) {
  // nop
}

caf::expected<json> json::parse(std::string_view text, std::size_t max_depth) {
  boost::json::parse_options options;
  options.max_depth = max_depth;
  unsigned char scratch[4096];
  boost::json::parser parser{{}, options, scratch, sizeof scratch};
  boost::json::error_code code;
  auto read = parser.write(text.data(), text.size(), code);
  if (!code)
    return json{std::string{text}, parser.release()};
  auto problem = json_failure(code, read, max_depth);
  value_builder python;
  if (problem.code == ec::malformed_json && read_as_python(python, text, max_depth))
    return json{std::string{text}, python.release()};
  return make_error(std::move(problem));
}

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  auto plain = text.begin();
  for (auto i = text.begin(); i != text.end(); ++i) {
    if (!needs_escape(*i))
      continue;
    out.append(plain, i);
    append_escaped(out, *i);
    plain = i + 1;
  }
  out.append(plain, text.end());
  out += '"';
}

void append_json(std::string& out, const boost::json::value& x) {
  switch (x.kind()) {
  case boost::json::kind::null:
    out += "null";
    break;
  case boost::json::kind::bool_:
    out += x.get_bool() ? "true" : "false";
    break;
  case boost::json::kind::int64:
    append_integer(out, x.get_int64());
    break;
  case boost::json::kind::uint64:
    append_integer(out, x.get_uint64());
    break;
  case boost::json::kind::double_:
    append_double(out, x.get_double());
    break;
  case boost::json::kind::string:
    append_quoted(out, x.get_string());
    break;
  case boost::json::kind::array:
    append_array(out, x.get_array());
    break;
  case boost::json::kind::object:
    append_object(out, x.get_object());
    break;
  }
}

} // namespace actors
