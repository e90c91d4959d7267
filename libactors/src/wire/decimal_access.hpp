#pragma once

#include <string_view>

#include "actors/market.hpp"

namespace actors {

/// How the sources that read and write JSON get at a decimal in place.
struct decimal_access {
  /// Takes the text if it is that of a decimal number.
  static bool assign(decimal& out, std::string_view text, bool quoted);

  /// Takes what stands where a number should and is none: null, NaN, "-inf", ...
  static bool assign_no_number(decimal& out, std::string_view text, bool quoted);

  /// Takes a text that is known to be a JSON number.
  static void assign_number(decimal& out, std::string_view text);
};

} // namespace actors
