#pragma once

#include <string_view>

#include "actors/market.hpp"

namespace actors {

/// Lets the JSON readers and writers set a decimal in place.
struct decimal_access {
  /// Assigns a text. Returns false if the text is no decimal number.
  static bool assign(decimal& out, std::string_view text, bool quoted);

  /// Assigns a text that stands for a missing number: null, NaN, "-inf", ... Returns false for
  /// other texts.
  static bool assign_no_number(decimal& out, std::string_view text, bool quoted);

  /// Assigns a text that is known to be a JSON number.
  static void assign_number(decimal& out, std::string_view text);
};

} // namespace actors
