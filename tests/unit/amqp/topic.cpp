#define CAF_SUITE topic

#include "amqp/topic.hpp"

#include <string>
#include <vector>

#include "caf/test/unit_test.hpp"

using namespace actors;

namespace {

using words = std::vector<std::string>;

words split(const std::string& key) {
  words result;
  if (key.empty())
    return result;
  result.emplace_back();
  for (auto c : key) {
    if (c == '.')
      result.emplace_back();
    else
      result.back() += c;
  }
  return result;
}

/// The rule as the specification puts it, without any thought of its cost.
bool reference(const words& pattern, std::size_t i, const words& key, std::size_t k) {
  if (i == pattern.size())
    return k == key.size();
  if (pattern[i] == "#")
    return reference(pattern, i + 1, key, k)
           || (k < key.size() && reference(pattern, i, key, k + 1));
  return k < key.size() && (pattern[i] == "*" || pattern[i] == key[k])
         && reference(pattern, i + 1, key, k + 1);
}

/// All keys of up to `length` words.
std::vector<std::string> keys_of(const words& alphabet, std::size_t length) {
  std::vector<std::string> result{""};
  std::vector<std::string> longest{alphabet.begin(), alphabet.end()};
  for (std::size_t n = 0; n < length; ++n) {
    result.insert(result.end(), longest.begin(), longest.end());
    std::vector<std::string> longer;
    for (auto& key : longest)
      for (auto& word : alphabet)
        longer.push_back(key + '.' + word);
    longest = std::move(longer);
  }
  return result;
}

std::string repeat(std::string_view text, std::size_t times) {
  std::string result;
  while (times-- > 0)
    result += text;
  return result;
}

} // namespace

CAF_TEST(a key without wildcards matches itself alone) {
  CAF_CHECK(topic_matches("binance.ETH/USDT", "binance.ETH/USDT"));
  CAF_CHECK(!topic_matches("binance.ETH/USDT", "binance.ETH/USD"));
  CAF_CHECK(!topic_matches("binance.ETH/USDT", "binance.ETH/USDT.x"));
  CAF_CHECK(!topic_matches("binance.ETH/USDT", "binance"));
}

CAF_TEST(a star is exactly one word) {
  CAF_CHECK(topic_matches("*.ETH/USDT", "binance.ETH/USDT"));
  CAF_CHECK(!topic_matches("*.ETH/USDT", "ETH/USDT"));
  CAF_CHECK(!topic_matches("binance.*", "binance.BTC.PERP"));
}

CAF_TEST(a hash is any number of words) {
  CAF_CHECK(topic_matches("#", ""));
  CAF_CHECK(topic_matches("binance.#", "binance"));
  CAF_CHECK(topic_matches("binance.#", "binance.BTC.PERP"));
  CAF_CHECK(topic_matches("#.PERP", "binance.BTC.PERP"));
  CAF_CHECK(!topic_matches("#.PERP", "binance.BTC"));
}

CAF_TEST(wildcards are whole words) {
  CAF_CHECK(!topic_matches("bin*.x", "binance.x"));
  CAF_CHECK(topic_matches("bin*.x", "bin*.x"));
  CAF_CHECK(!topic_matches("a#", "a.b"));
}

CAF_TEST(the empty key has no word and a dot separates two) {
  CAF_CHECK(topic_matches("", ""));
  CAF_CHECK(!topic_matches("*", ""));
  CAF_CHECK(topic_matches("*.*", "."));
  CAF_CHECK(topic_matches("a.*", "a."));
  CAF_CHECK(!topic_matches("a", "a."));
}

CAF_TEST(all short keys match as the reference says) {
  auto patterns = keys_of({"a", "b", "*", "#", ""}, 4);
  auto keys = keys_of({"a", "b", ""}, 5);
  std::string mismatches;
  std::size_t matches = 0;
  for (auto& pattern : patterns)
    for (auto& key : keys) {
      auto expected = reference(split(pattern), 0, split(key), 0);
      matches += expected ? 1 : 0;
      if (topic_matches(pattern, key) != expected)
        mismatches += "'" + pattern + "' on '" + key + "' ";
    }
  CAF_CHECK_EQUAL(mismatches, "");
  CAF_CHECK(matches > 10'000);
}

// A matcher that tries every split between the hashes would not come back.
CAF_TEST(many hashes on a long key take little time) {
  auto key = repeat("a.", 2'000) + "b";
  CAF_CHECK(!topic_matches(repeat("#.a.", 50) + "c", key));
  CAF_CHECK(!topic_matches(repeat("#.", 500) + "c", key));
  CAF_CHECK(topic_matches(repeat("#.a.", 50) + "b", key));
}

CAF_TEST(only whole wildcard words make a wildcard) {
  CAF_CHECK(is_wildcard("#"));
  CAF_CHECK(is_wildcard("*"));
  CAF_CHECK(is_wildcard("binance.*"));
  CAF_CHECK(is_wildcard("a.#.b"));
  CAF_CHECK(!is_wildcard(""));
  CAF_CHECK(!is_wildcard("binance.ETH/USDT"));
  CAF_CHECK(!is_wildcard("bin*.a#"));
}
