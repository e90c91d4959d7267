#include "settings/spelling.hpp"

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

namespace actors {

namespace {

/// No key of the library is nearly as long. In a longer text the rest counts as superfluous
/// letters.
constexpr std::size_t max_compared = 64;

char small(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// Whether a word contains the letters of `written` in order and begins like `written`
/// ("cafile" for "cacertfile"), or contains `written` as a part ("bytes" for "max_bytes").
bool is_short_for(std::string_view written, std::string_view word) {
  constexpr std::size_t least = 3;
  auto letters = [](std::string_view text) {
    std::string result;
    for (auto c : text.substr(0, max_compared))
      if (c != '_' && c != '-')
        result += small(c);
    return result;
  };
  const auto part = letters(written);
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

std::size_t misspelling(std::string_view written, std::string_view meant) {
  auto beyond = std::max({written.size(), meant.size(), max_compared}) - max_compared;
  written = written.substr(0, max_compared);
  meant = meant.substr(0, max_compared);
  auto same = [&](std::size_t i, std::size_t k) { return small(written[i]) == small(meant[k]); };
  // Row i has the distances of the first i letters of `written` to each prefix of `meant`.
  std::vector<std::size_t> before_last(meant.size() + 1);
  std::vector<std::size_t> last(meant.size() + 1);
  std::vector<std::size_t> row(meant.size() + 1);
  for (std::size_t k = 0; k <= meant.size(); ++k)
    row[k] = k;
  for (std::size_t i = 1; i <= written.size(); ++i) {
    std::swap(before_last, last);
    std::swap(last, row);
    row[0] = i;
    for (std::size_t k = 1; k <= meant.size(); ++k) {
      row[k] = std::min({last[k] + 1, row[k - 1] + 1, last[k - 1] + (same(i - 1, k - 1) ? 0 : 1)});
      if (i > 1 && k > 1 && same(i - 1, k - 2) && same(i - 2, k - 1))
        row[k] = std::min(row[k], before_last[k - 2] + 1);
    }
  }
  return row[meant.size()] + beyond;
}

std::string_view nearest(std::string_view written, std::span<const std::string> words) {
  std::string_view result;
  auto least = std::numeric_limits<std::size_t>::max();
  auto consider = [&](const std::string& word, std::size_t limit) {
    const auto distance = misspelling(written, word);
    if (distance > limit || distance >= least)
      return;
    least = distance;
    result = word;
  };
  for (auto& word : words)
    consider(word, written.size() / 3);
  if (!result.empty())
    return result;
  for (auto& word : words)
    if (is_short_for(written, word))
      consider(word, least);
  return result;
}

} // namespace actors
