#include "wire/json_error.hpp"

#include "actors/json.hpp"

namespace actors {

failure json_failure(const boost::json::error_code& code, std::size_t offset,
                     std::size_t max_depth) {
  auto where = "offset " + std::to_string(offset) + ": ";
  if (code == boost::json::error::too_deep)
    return {ec::limit_exceeded,
            where + "more than " + std::to_string(max_depth) + " nested arrays and objects"};
  return {ec::malformed_json, where + code.message()};
}

std::string shown(std::string_view text) {
  constexpr std::size_t limit = 40;
  auto cut = text.size() > limit;
  if (cut) {
    auto end = limit;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80)
      --end; // not inside a UTF-8 sequence
    text = text.substr(0, end);
  }
  std::string result;
  append_quoted(result, text);
  if (cut)
    result += "...";
  return result;
}

} // namespace actors
