#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>

#include <caf/expected.hpp>

#include "actors/market.hpp"

/// Where the apps' market events come from: a simulated market or a recorded
/// file.
namespace market_data {

/// A typed market event, or one of any name that goes on as it came.
using market_event = std::variant<actors::orderbook, actors::trade, actors::kline, actors::event>;

/// "Exchange:routing_key", the stream that an event belongs to.
std::string stream_of(const market_event& x);

struct timed_event {
  /// When it happened by the clock of its feed, since 1970.
  std::chrono::nanoseconds at{0};
  market_event what;
};

/// Market events, one after the other.
class feed {
public:
  virtual ~feed();

  /// The next event, or nothing at the end. An error ends the feed.
  virtual caf::expected<std::optional<timed_event>> next() = 0;

  /// How much has been read, from 0 to 1; nothing if the feed has no end.
  virtual std::optional<double> progress() const;

  /// How often something was passed over that is no event, by what it was.
  virtual std::map<std::string, std::uint64_t> skipped() const;
};

} // namespace market_data
