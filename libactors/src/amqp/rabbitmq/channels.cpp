#include "amqp/rabbitmq/channels.hpp"

#include <algorithm>
#include <utility>

namespace actors::amqp {

namespace {

/// So many requests are ahead of their answers on one channel before another one is opened:
/// a link that asks for little needs no more.
constexpr std::size_t pipelining_threshold = 16;

/// Who waits for an answer for longer is passed by.
constexpr std::chrono::seconds patience{1};

} // namespace

channel_plan::channel_plan() {
  limit(0, 0);
}

void channel_plan::limit(std::uint16_t channels, std::uint32_t consumers_per_channel) {
  numbers_ = channel_division{channels};
  consumers_per_channel_ = consumers_per_channel;
  lines_.clear();
  for_topology_ = {&make(numbers_.topology)};
  for_deliveries_ = {&make(numbers_.deliveries)};
  make(numbers_.publishing);
  for (auto x = static_cast<std::uint16_t>(numbers_.publishing + 1); x < numbers_.first_further;
       ++x)
    for_topology_.push_back(&make(x));
}

line& channel_plan::make(std::uint16_t number) {
  if (number >= lines_.size())
    lines_.resize(number + std::size_t{1});
  auto& result = lines_[number];
  if (!result)
    result = std::make_unique<line>();
  result->number = number;
  return *result;
}

// -- topology -----------------------------------------------------------------------

line& channel_plan::topology(const operation& x, link_protocol::time_point now) {
  const auto queue = queue_of(x);
  if (queue.empty())
    return *for_topology_.front();
  auto& at = lanes_[std::string{queue}];
  if (at.requests++ == 0)
    at.on = &emptiest_topology(now);
  return *at.on;
}

// A queue may have a request wait for ever, as a quorum queue without a leader does.
line& channel_plan::emptiest_topology(link_protocol::time_point now) {
  auto load = [now](const line& x) {
    const auto hangs = !x.items.empty() && now - x.since >= patience;
    return std::pair{hangs, x.items.size() / pipelining_threshold};
  };
  return **std::min_element(for_topology_.begin(), for_topology_.end(),
                            [&](auto* x, auto* y) { return load(*x) < load(*y); });
}

void channel_plan::left(const operation& x) {
  auto i = lanes_.find(std::string{queue_of(x)});
  if (i != lanes_.end() && --i->second.requests == 0)
    lanes_.erase(i);
}

// -- deliveries ---------------------------------------------------------------------

// The broker counts none that it was asked to cancel on the same channel before.
bool channel_plan::has_room(const line& x) const noexcept {
  if (consumers_per_channel_ == 0 || x.consumers.size() < consumers_per_channel_)
    return true;
  const auto staying =
      std::count_if(x.consumers.begin(), x.consumers.end(), [](auto& y) { return !y.second; });
  return static_cast<std::size_t>(staying) < consumers_per_channel_;
}

line* channel_plan::delivering(std::uint32_t group) {
  auto& xs = for_deliveries_;
  auto find = [&](auto f) {
    auto i = std::find_if(xs.begin(), xs.end(), f);
    return i == xs.end() ? nullptr : *i;
  };
  auto result =
      find([&](auto* x) { return !x->consumers.empty() && x->group == group && has_room(*x); });
  if (!result)
    result = find([](auto* x) { return x->consumers.empty(); });
  if (!result) {
    const auto next = numbers_.first_further + xs.size() - 1;
    if (next <= numbers_.allowed)
      result = xs.emplace_back(&make(static_cast<std::uint16_t>(next)));
  }
  if (result) {
    result->group = group;
    return result;
  }
  // Those that are to be apart are so at least from the group of most.
  auto cost = [&](auto* x) {
    return std::pair{!has_room(*x), std::pair{x->group == 0, x->consumers.size()}};
  };
  auto least =
      *std::min_element(xs.begin(), xs.end(), [&](auto* x, auto* y) { return cost(x) < cost(y); });
  return has_room(*least) ? least : nullptr;
}

std::uint16_t channel_plan::open() const noexcept {
  std::uint16_t result = 0;
  for_each([&](const line& x) { result += x.open ? 1 : 0; });
  return result;
}

} // namespace actors::amqp
