#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <boost/json/error.hpp>

#include "actors/ec.hpp"

namespace actors {

/// What Boost.JSON found wrong at an offset of a text, e.g. "offset 17: syntax
/// error".
failure json_failure(const boost::json::error_code& code, std::size_t offset,
                     std::size_t max_depth);

/// A text in quotes for an error message, cut when long.
std::string shown(std::string_view text);

} // namespace actors
