#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <boost/json/value.hpp>
#include <caf/error.hpp>
#include <caf/none.hpp>

#include "actors/event_type.hpp"

namespace actors::testing {

/// An event by which is seen whether any was lost, came twice or in the wrong order:
/// numbered from 1 by each publisher for each routing key.
struct numbered {
  static constexpr std::string_view event_name = "EVENT_NUMBERED";
  static constexpr std::string_view exchange = "Numbered";
  std::string publisher;
  std::string key;
  std::uint64_t number = 0;
};

inline boost::json::value to_json(const numbered& x) {
  return {{"publisher", x.publisher}, {"key", x.key}, {"number", x.number}};
}

inline caf::error from_json(const boost::json::value& in, numbered& out) {
  out.publisher = in.at("publisher").as_string();
  out.key = in.at("key").as_string();
  out.number = in.at("number").to_number<std::uint64_t>();
  return caf::none;
}

} // namespace actors::testing
