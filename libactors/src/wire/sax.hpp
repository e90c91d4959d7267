#pragma once

// Boost.JSON's event parser. The header is heavy to compile, so include it only where needed.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include <boost/json/basic_parser_impl.hpp>

#include "actors/ec.hpp"
#include "wire/json_error.hpp"

namespace actors {

/// A handler that accepts every text. Derived handlers hide the functions for the events they
/// need; to stop the parser, a function sets the error code and returns false.
struct sax_handler {
  using error_code = boost::json::error_code;
  using string_view = boost::json::string_view;

  static constexpr std::size_t max_object_size = SIZE_MAX;
  static constexpr std::size_t max_array_size = SIZE_MAX;
  static constexpr std::size_t max_key_size = SIZE_MAX;
  static constexpr std::size_t max_string_size = SIZE_MAX;

  bool on_document_begin(error_code&) {
    return true;
  }

  bool on_document_end(error_code&) {
    return true;
  }

  bool on_object_begin(error_code&) {
    return true;
  }

  bool on_object_end(std::size_t, error_code&) {
    return true;
  }

  bool on_array_begin(error_code&) {
    return true;
  }

  bool on_array_end(std::size_t, error_code&) {
    return true;
  }

  bool on_key_part(string_view, std::size_t, error_code&) {
    return true;
  }

  bool on_key(string_view, std::size_t, error_code&) {
    return true;
  }

  bool on_string_part(string_view, std::size_t, error_code&) {
    return true;
  }

  bool on_string(string_view, std::size_t, error_code&) {
    return true;
  }

  bool on_number_part(string_view, error_code&) {
    return true;
  }

  bool on_int64(std::int64_t, string_view, error_code&) {
    return true;
  }

  bool on_uint64(std::uint64_t, string_view, error_code&) {
    return true;
  }

  bool on_double(double, string_view, error_code&) {
    return true;
  }

  /// Called for NaN and the infinities, which only Python writes.
  bool on_no_number(double, string_view, error_code&) {
    return true;
  }

  bool on_bool(bool, error_code&) {
    return true;
  }

  bool on_null(error_code&) {
    return true;
  }

  bool on_comment_part(string_view, error_code&) {
    return true;
  }

  bool on_comment(string_view, error_code&) {
    return true;
  }
};

/// Feeds a whole text to a parser. Returns the error in the text, if there is one.
template <class Handler>
failure read_all(boost::json::basic_parser<Handler>& parser, std::string_view text,
                 std::size_t max_depth) {
  boost::json::error_code code;
  auto read = parser.write_some(false, text.data(), text.size(), code);
  if (!code && read < text.size())
    code = boost::json::error::extra_data;
  return code ? json_failure(code, read, max_depth) : failure{};
}

} // namespace actors
