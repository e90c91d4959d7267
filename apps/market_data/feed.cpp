#include "market_data/feed.hpp"

#include <type_traits>

#include "actors/event_type.hpp"

namespace market_data {

namespace {

std::string join(std::string_view exchange, std::string_view routing_key) {
  std::string result{exchange};
  result += ':';
  result += routing_key;
  return result;
}

} // namespace

std::string stream_of(const market_event& x) {
  return std::visit(
      []<class T>(const T& y) {
        if constexpr (std::is_same_v<T, actors::event>)
          return join(y.exchange, y.routing_key);
        else
          return join(T::exchange, actors::routing_key_of(y));
      },
      x);
}

feed::~feed() = default;

std::optional<double> feed::progress() const {
  return std::nullopt;
}

std::map<std::string, std::uint64_t> feed::skipped() const {
  return {};
}

} // namespace market_data
