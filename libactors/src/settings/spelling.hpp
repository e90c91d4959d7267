#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace actors {

/// Returns the number of letters that are wrong, missing, superfluous or swapped with their
/// neighbour. Case does not count.
std::size_t misspelling(std::string_view written, std::string_view meant);

/// Returns the word that `written` probably means: the nearest word, if at most a third of the
/// letters of `written` is wrong, else a word that `written` is short for. The first of several
/// wins; the result is empty if no word fits.
std::string_view nearest(std::string_view written, std::span<const std::string> words);

} // namespace actors
