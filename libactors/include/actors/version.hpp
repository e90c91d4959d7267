#pragma once

#include <string_view>

/// The version of these headers as a number: major * 10,000 + minor * 100 + patch. Before 1.0 a
/// minor version may break compatibility.
#define ACTORS_VERSION 100

namespace actors {

/// The version as text.
inline constexpr std::string_view version = "0.1.0";

} // namespace actors
