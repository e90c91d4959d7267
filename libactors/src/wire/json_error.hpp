#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <boost/json/error.hpp>

#include "actors/ec.hpp"

namespace actors {

/// Describes an error of Boost.JSON at an offset of a text, e.g. "offset 17: syntax error".
failure json_failure(const boost::json::error_code& code, std::size_t offset,
                     std::size_t max_depth);

/// Returns a text in quotes for an error message, shortened if long.
std::string shown(std::string_view text);

} // namespace actors
