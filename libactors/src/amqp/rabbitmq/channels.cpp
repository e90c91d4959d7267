#include "amqp/rabbitmq/channels.hpp"

#include <algorithm>
#include <utility>

namespace actors::amqp {

namespace {

/// The number of unanswered requests on one channel above which another channel is opened: a
/// link with few requests needs only one.
constexpr std::size_t pipelining_threshold = 16;

/// Channels whose first request waits longer than this are avoided.
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
  for (auto number = static_cast<std::uint16_t>(numbers_.publishing + 1);
       number < numbers_.first_further; ++number)
    for_topology_.push_back(&make(number));
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

line& channel_plan::topology(const operation& request, link_protocol::time_point now) {
  const auto queue = queue_of(request);
  if (queue.empty())
    return *for_topology_.front();
  auto& at = lanes_[std::string{queue}];
  if (at.requests++ == 0)
    at.on = &emptiest_topology(now);
  return *at.on;
}

// Some requests wait for ever, e.g. one about a quorum queue without a leader, so a hanging
// channel is the last choice.
line& channel_plan::emptiest_topology(link_protocol::time_point now) {
  auto load = [now](const line& x) {
    const auto hangs = !x.items.empty() && now - x.since >= patience;
    return std::pair{hangs, x.items.size() / pipelining_threshold};
  };
  return **std::min_element(for_topology_.begin(), for_topology_.end(),
                            [&](auto* left, auto* right) { return load(*left) < load(*right); });
}

void channel_plan::left(const operation& x) {
  auto i = lanes_.find(std::string{queue_of(x)});
  if (i != lanes_.end() && --i->second.requests == 0)
    lanes_.erase(i);
}

// -- deliveries ---------------------------------------------------------------------

// The broker does not count consumers that it was asked to cancel earlier on the same channel.
bool channel_plan::has_room(const line& candidate) const noexcept {
  if (consumers_per_channel_ == 0 || candidate.consumers.size() < consumers_per_channel_)
    return true;
  const auto staying = std::count_if(candidate.consumers.begin(), candidate.consumers.end(),
                                     [](auto& x) { return !x.second; });
  return static_cast<std::size_t>(staying) < consumers_per_channel_;
}

line* channel_plan::delivering(std::uint32_t group) {
  auto& candidates = for_deliveries_;
  auto find = [&](auto f) {
    auto i = std::find_if(candidates.begin(), candidates.end(), f);
    return i == candidates.end() ? nullptr : *i;
  };
  auto result =
      find([&](auto* x) { return !x->consumers.empty() && x->group == group && has_room(*x); });
  if (!result)
    result = find([](auto* x) { return x->consumers.empty(); });
  if (!result) {
    const auto next = numbers_.first_further + candidates.size() - 1;
    if (next <= numbers_.allowed)
      result = candidates.emplace_back(&make(static_cast<std::uint16_t>(next)));
  }
  if (result) {
    result->group = group;
    return result;
  }
  // The channels of group 0, the group of most consumers, are shared last: the other groups stay
  // apart from that one at least.
  auto cost = [&](auto* x) {
    return std::pair{!has_room(*x), std::pair{x->group == 0, x->consumers.size()}};
  };
  auto least = *std::min_element(candidates.begin(), candidates.end(),
                                 [&](auto* left, auto* right) { return cost(left) < cost(right); });
  return has_room(*least) ? least : nullptr;
}

std::uint16_t channel_plan::open() const noexcept {
  std::uint16_t result = 0;
  for_each([&](const line& x) { result += x.open ? 1 : 0; });
  return result;
}

} // namespace actors::amqp
