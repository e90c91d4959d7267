#pragma once

#include <string>
#include <string_view>

#include <boost/json/value.hpp>
#include <caf/expected.hpp>

#include "actors/export.hpp"

namespace actors {

/// A JSON document that keeps its text, so that text from the wire goes out again byte for byte
/// ("8680.70000000", 0.10, 1558949307370). The document is available as a value as well. A `json`
/// is immutable, so that text and value never differ.
class ACTORS_EXPORT json {
public:
  /// `null`.
  json();

  /// Writes the value's text: integers as they are, other numbers with the
  /// fewest digits that read back as the same double (1.0 stays 1.0), non-ASCII
  /// as UTF-8.
  explicit json(boost::json::value content);

  /// Reads a text of at most `max_depth` nested arrays and objects. The accepted grammar is that
  /// of Python's `json.loads`, which includes NaN, Infinity, -Infinity and unpaired surrogates
  /// such as "\ud800"; in `value` these surrogates become U+FFFD. Errors: `ec::malformed_json`,
  /// `ec::limit_exceeded`, with the offset.
  static caf::expected<json> parse(std::string_view text, std::size_t max_depth = 32);

  const std::string& text() const noexcept {
    return text_;
  }

  /// The document as a value. Numbers with a fraction or an exponent become a double that is at
  /// most one unit in the last place off; `text` has the exact digits.
  const boost::json::value& value() const noexcept {
    return value_;
  }

  friend bool operator==(const json& x, const json& y) noexcept {
    return x.text_ == y.text_;
  }

private:
  json(std::string text, boost::json::value content);

  std::string text_;
  boost::json::value value_;
};

/// Appends a JSON string literal, quotes included. Control characters, quotes and backslashes are
/// escaped; all other characters are written unchanged.
ACTORS_EXPORT void append_quoted(std::string& out, std::string_view text);

/// Appends the text that `json(x)` would have, with the spaces of Python's `json.dumps`. NaN and
/// infinity become `null`.
ACTORS_EXPORT void append_json(std::string& out, const boost::json::value& x);

} // namespace actors
