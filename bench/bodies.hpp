#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "market_data/feed.hpp"

/// What all programs of the benchmark share: the events, what is asked of a
/// client, and how it is measured.
namespace bench {

/// Events of one kind and one routing key, and their bodies on the wire.
struct bodies {
  std::string exchange;
  std::string routing_key;
  std::vector<market_data::market_event> events;
  /// One for each event.
  std::vector<std::string> sealed;
};

/// So many events of a kind: "book10", "book20", "trade" or "kline" of the
/// simulated market, "own10", as libactors writes it instead of AIOQuant, or "recorded", the books
/// of the recording that `ACTORS_RECORDINGS` names a folder of. Without events of that kind the
/// program ends with a line on standard error.
bodies make_bodies(std::string_view kind, std::size_t count = 1'000);

/// Ends the program with 1 and a line on standard error.
[[noreturn]] void fail(const std::string& what);

} // namespace bench
