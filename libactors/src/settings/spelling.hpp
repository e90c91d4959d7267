#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace actors {

/// How many letters are wrong, missing, too many or swapped with their neighbour. Capitals are
/// as good as small letters.
std::size_t misspelling(std::string_view x, std::string_view y);

/// The word that was meant by `x`, the first of several: the nearest, if no more than a
/// third of its letters is wrong, else one that it is short for. Empty if all are far.
std::string_view nearest(std::string_view x, std::span<const std::string> words);

} // namespace actors
