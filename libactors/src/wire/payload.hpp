#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include <caf/expected.hpp>

#include "actors/ec.hpp"
#include "actors/policies.hpp"

namespace actors {

/// Returns `ec::limit_exceeded` if a receiver with these limits would refuse an event for its
/// depth. The check only counts the brackets of the JSON text.
failure check_depth(std::string_view data, const payload_limits& limits);

/// Returns `ec::limit_exceeded` if such a receiver would refuse the size of the text, or the ratio
/// of that size to the size of the body.
failure check_size(std::size_t text_size, std::size_t body_size, const payload_limits& limits);

/// The two parts of a body, as views into its JSON text.
struct payload_parts {
  /// The event's name, unescaped.
  std::string_view name;
  /// The JSON text of the event's data: well-formed only if `checked`.
  std::string_view data;
  /// Whether `data` is known to be one JSON value. If not, a caller whose parser fails should call
  /// `payload_decoder::check`.
  bool checked = false;
};

/// Inflates and splits bodies. A decoder reuses its working memory.
class payload_decoder {
public:
  explicit payload_decoder(payload_limits limits = {});

  ~payload_decoder();

  payload_decoder(payload_decoder&&) noexcept;
  payload_decoder& operator=(payload_decoder&&) noexcept;

  /// Inflates a body and finds its parts, which are valid until the next call.
  /// Errors: `ec::malformed_body`, `ec::malformed_json`, `ec::limit_exceeded`,
  /// each with the problem and its place.
  caf::expected<payload_parts> decode(std::string_view body);

  /// Reads the text of the last `decode` again, key by key. Returns its parts, which then are
  /// `checked`.
  caf::expected<payload_parts> check();

  const payload_limits& limits() const noexcept;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

/// Writes bodies: zlib streams that any zlib reads. An encoder reuses its working memory.
class payload_encoder {
public:
  payload_encoder();

  ~payload_encoder();

  payload_encoder(payload_encoder&&) noexcept;
  payload_encoder& operator=(payload_encoder&&) noexcept;

  /// Returns the body of an event; `data` is JSON text.
  std::string encode(std::string_view name, std::string_view data);

  /// Returns the calling thread's encoder.
  static payload_encoder& of_this_thread();

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace actors
