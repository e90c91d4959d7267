// The matcher agrees with the rule as AMQP 0-9-1 puts it, for every pair of
// keys.

#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "amqp/topic.hpp"

using namespace actors;

namespace {

using words = std::vector<std::string_view>;

// The empty key has no words.
words split(std::string_view key) {
  words result;
  if (key.empty())
    return result;
  for (;;) {
    auto dot = key.find('.');
    result.push_back(key.substr(0, dot));
    if (dot == std::string_view::npos)
      return result;
    key.remove_prefix(dot + 1);
  }
}

// row[j]: whether the binding's words so far match the key's first j words.
bool matches(const words& binding, const words& key) {
  std::vector<bool> row(key.size() + 1, false);
  row[0] = true;
  for (auto word : binding) {
    std::vector<bool> next(row.size(), false);
    for (std::size_t j = 0; j < row.size(); ++j) {
      if (word == "#")
        next[j] = row[j] || (j > 0 && next[j - 1]);
      else if (j > 0)
        next[j] = row[j - 1] && (word == "*" || word == key[j - 1]);
    }
    row = std::move(next);
  }
  return row.back();
}

} // namespace

// The input is a binding key and a routing key, a line each.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  std::string_view input{reinterpret_cast<const char*>(bytes), size};
  if (size > 600) // two keys of at most 255 bytes
    return 0;
  auto end = input.find('\n');
  if (end == std::string_view::npos)
    return 0;
  auto binding = input.substr(0, end);
  auto key = input.substr(end + 1);
  if (topic_matches(binding, key) != matches(split(binding), split(key)))
    std::abort();
  return 0;
}
