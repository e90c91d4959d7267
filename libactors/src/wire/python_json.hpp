#pragma once

// JSON as Python's json module reads and writes it. Python extends the standard by NaN, Infinity,
// -Infinity and escapes of unpaired surrogates. Fleets publish all of these.

#include <cstddef>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/parse.hpp>

#include "amqp/wire_rules.hpp"

namespace actors {

/// Takes a string literal off the front of a text and appends its characters. An unpaired
/// surrogate becomes U+FFFD, because UTF-8 cannot encode it. Returns false if the literal is
/// malformed.
bool take_python_string(std::string_view& text, std::string& out);

/// Takes a number, by JSON's grammar, off the front of a text. Returns an empty text if there is
/// none.
std::string_view take_number(std::string_view& text) noexcept;

/// Feeds a text to a handler as `boost::json::basic_parser` does, and passes NaN and the infinities
/// to `on_no_number`. The parser is slow, so it only serves texts that Boost.JSON has refused.
template <class Handler>
class python_parser {
public:
  python_parser(Handler& handler, std::string_view text, std::size_t max_depth)
      : handler_(handler), rest_(text), max_depth_(max_depth) {
    // nop
  }

  /// Returns whether Python can read the whole text, within the depth, and the handler accepts it.
  bool read() {
    if (!amqp::is_utf8(rest_) || !handler_.on_document_begin(code_) || !value())
      return false;
    while (!open_.empty())
      if (!next_member())
        return false;
    skip_space();
    return rest_.empty() && handler_.on_document_end(code_);
  }

private:
  struct container {
    bool is_object;
    std::size_t size = 0;
  };

  void skip_space() noexcept {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\n\r"), rest_.size()));
  }

  bool take(std::string_view token) noexcept {
    if (!rest_.starts_with(token))
      return false;
    rest_.remove_prefix(token.size());
    return true;
  }

  /// Reads the next member of the innermost container, or the container's end.
  bool next_member() {
    auto& here = open_.back();
    skip_space();
    if (take(here.is_object ? "}" : "]"))
      return end();
    if (here.size > 0 && !take(","))
      return false;
    ++here.size;
    return (!here.is_object || key()) && value();
  }

  bool key() {
    skip_space();
    buffer_.clear();
    if (!take_python_string(rest_, buffer_))
      return false;
    skip_space();
    return take(":") && handler_.on_key(buffer_, buffer_.size(), code_);
  }

  bool value() {
    skip_space();
    if (take("{"))
      return begin(true);
    if (take("["))
      return begin(false);
    if (rest_.starts_with('"'))
      return string();
    if (take("null"))
      return handler_.on_null(code_);
    if (take("true"))
      return handler_.on_bool(true, code_);
    if (take("false"))
      return handler_.on_bool(false, code_);
    return no_number("NaN", std::numeric_limits<double>::quiet_NaN())
           || no_number("Infinity", std::numeric_limits<double>::infinity())
           || no_number("-Infinity", -std::numeric_limits<double>::infinity()) || number();
  }

  bool begin(bool is_object) {
    if (open_.size() == max_depth_)
      return false;
    open_.push_back({is_object});
    return is_object ? handler_.on_object_begin(code_) : handler_.on_array_begin(code_);
  }

  bool end() {
    auto done = open_.back();
    open_.pop_back();
    return done.is_object ? handler_.on_object_end(done.size, code_)
                          : handler_.on_array_end(done.size, code_);
  }

  bool string() {
    buffer_.clear();
    return take_python_string(rest_, buffer_) && handler_.on_string(buffer_, buffer_.size(), code_);
  }

  bool no_number(std::string_view text, double x) {
    return !code_ && take(text) && handler_.on_no_number(x, text, code_);
  }

  bool number() {
    auto text = take_number(rest_);
    if (text.empty() || code_)
      return false;
    auto parsed = boost::json::parse(text, code_);
    if (code_)
      return false;
    if (auto i = parsed.if_int64())
      return handler_.on_int64(*i, text, code_);
    if (auto u = parsed.if_uint64())
      return handler_.on_uint64(*u, text, code_);
    return handler_.on_double(parsed.get_double(), text, code_);
  }

  Handler& handler_;
  std::string_view rest_;
  std::size_t max_depth_;
  std::vector<container> open_;
  std::string buffer_;
  boost::json::error_code code_;
};

/// Returns whether Python can read a text that Boost.JSON has refused, and the handler accepts it.
template <class Handler>
bool read_as_python(Handler& handler, std::string_view text, std::size_t max_depth) {
  return python_parser<Handler>{handler, text, max_depth}.read();
}

} // namespace actors
