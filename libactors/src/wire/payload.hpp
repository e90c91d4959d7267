#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include <caf/expected.hpp>

#include "actors/ec.hpp"
#include "actors/policies.hpp"

namespace actors {

/// Why a receiver with these limits does not take an event, if so (`ec::limit_exceeded`). Of
/// its data's JSON text only the brackets are looked at.
failure check_depth(std::string_view data, const payload_limits& limits);

/// The same by the size of the whole text and of the body that it is in.
failure check_size(std::size_t text_size, std::size_t body_size, const payload_limits& limits);

/// The two parts of a body, as views into its JSON text.
struct payload_parts {
  /// The event's name, unescaped.
  std::string_view name;
  /// The JSON text of the event's data: well-formed only if `checked`.
  std::string_view data;
  /// Whether `data` is known to be one JSON value. If not, whoever parses it
  /// finds out: on an error there, ask `payload_decoder::check`.
  bool checked = false;
};

/// Inflates and splits bodies. Holds its working memory for all.
class payload_decoder {
public:
  explicit payload_decoder(payload_limits limits = {});

  ~payload_decoder();

  payload_decoder(payload_decoder&&) noexcept;
  payload_decoder& operator=(payload_decoder&&) noexcept;

  /// Inflates a body and finds its parts, which are valid until the next call.
  /// Errors: `ec::malformed_body`, `ec::malformed_json`, `ec::limit_exceeded`,
  /// each with what and where.
  caf::expected<payload_parts> decode(std::string_view body);

  /// Reads the text of the last `open` from the start, key by key, and gives
  /// its parts, which then are `checked`.
  caf::expected<payload_parts> check();

  const payload_limits& limits() const noexcept;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

/// Writes bodies. Holds its working memory for all.
class payload_encoder {
public:
  /// AIOQuant writes level 6; any is readable.
  explicit payload_encoder(int level = 6);

  ~payload_encoder();

  payload_encoder(payload_encoder&&) noexcept;
  payload_encoder& operator=(payload_encoder&&) noexcept;

  /// The body of an event, `data` being JSON text.
  std::string encode(std::string_view name, std::string_view data);

  /// The encoder of this thread, for level 6.
  static payload_encoder& of_this_thread();

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace actors
