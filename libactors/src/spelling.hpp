#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace actors {

/// How many letters are wrong, missing, too many or swapped with their neighbour. Capitals are
/// as good as small letters.
std::size_t misspelling(std::string_view x, std::string_view y);

/// The word that is nearest to `x`, the first of several; empty if there is none.
std::string_view nearest(std::string_view x, std::span<const std::string> words);

} // namespace actors
