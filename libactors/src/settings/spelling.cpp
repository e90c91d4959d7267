#include "settings/spelling.hpp"

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

namespace actors {

namespace {

/// No key of ours is nearly as long; of what is longer the rest counts as too many letters.
constexpr std::size_t max_compared = 64;

char small(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// Whether a word has the letters of `x` in their order and begins like it, or has it as a part:
/// "cafile" for "cacertfile", "bytes" for "max_bytes".
bool is_short_for(std::string_view x, std::string_view word) {
  constexpr std::size_t least = 3;
  auto letters = [](std::string_view text) {
    std::string result;
    for (auto c : text.substr(0, max_compared))
      if (c != '_' && c != '-')
        result += small(c);
    return result;
  };
  const auto part = letters(x);
  const auto whole = letters(word);
  if (part.size() < least)
    return false;
  if (whole.find(part) != whole.npos)
    return true;
  auto next = part.begin();
  for (auto c : whole)
    if (next != part.end() && c == *next)
      ++next;
  return next == part.end() && part.front() == whole.front();
}

} // namespace

std::size_t misspelling(std::string_view x, std::string_view y) {
  auto beyond = std::max({x.size(), y.size(), max_compared}) - max_compared;
  x = x.substr(0, max_compared);
  y = y.substr(0, max_compared);
  auto same = [&](std::size_t i, std::size_t k) { return small(x[i]) == small(y[k]); };
  // Row i: the distance of the first i letters of x to each beginning of y.
  std::vector<std::size_t> before_last(y.size() + 1);
  std::vector<std::size_t> last(y.size() + 1);
  std::vector<std::size_t> row(y.size() + 1);
  for (std::size_t k = 0; k <= y.size(); ++k)
    row[k] = k;
  for (std::size_t i = 1; i <= x.size(); ++i) {
    std::swap(before_last, last);
    std::swap(last, row);
    row[0] = i;
    for (std::size_t k = 1; k <= y.size(); ++k) {
      row[k] = std::min({last[k] + 1, row[k - 1] + 1, last[k - 1] + (same(i - 1, k - 1) ? 0 : 1)});
      if (i > 1 && k > 1 && same(i - 1, k - 2) && same(i - 2, k - 1))
        row[k] = std::min(row[k], before_last[k - 2] + 1);
    }
  }
  return row[y.size()] + beyond;
}

std::string_view nearest(std::string_view x, std::span<const std::string> words) {
  std::string_view result;
  auto least = std::numeric_limits<std::size_t>::max();
  auto consider = [&](const std::string& word, std::size_t limit) {
    const auto distance = misspelling(x, word);
    if (distance > limit || distance >= least)
      return;
    least = distance;
    result = word;
  };
  for (auto& word : words)
    consider(word, x.size() / 3);
  if (!result.empty())
    return result;
  for (auto& word : words)
    if (is_short_for(x, word))
      consider(word, least);
  return result;
}

} // namespace actors
