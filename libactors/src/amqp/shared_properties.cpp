#include "amqp/shared_properties.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>

namespace actors::amqp {

namespace {

/// The last ones, of as many kinds of publishers.
struct recent {
  std::array<std::shared_ptr<const other_properties>, 4> items;
  std::size_t next = 0;
};

bool is_empty(const other_properties_view& x) noexcept {
  return x.content_type.empty() && x.content_encoding.empty() && x.correlation_id.empty()
         && x.reply_to.empty() && x.type.empty() && x.app_id.empty() && !x.priority;
}

bool is_same(const other_properties& x, const other_properties_view& y) noexcept {
  return x.content_type == y.content_type && x.content_encoding == y.content_encoding
         && x.correlation_id == y.correlation_id && x.reply_to == y.reply_to && x.type == y.type
         && x.app_id == y.app_id && x.priority == y.priority;
}

std::shared_ptr<const other_properties> copy(const other_properties_view& x) {
  return std::make_shared<const other_properties>(other_properties{
      std::string{x.content_type}, std::string{x.content_encoding}, std::string{x.correlation_id},
      std::string{x.reply_to}, std::string{x.type}, std::string{x.app_id}, x.priority});
}

} // namespace

std::shared_ptr<const other_properties> share(const other_properties_view& x) {
  if (is_empty(x))
    return nullptr;
  // One that names its own message is not met again.
  if (!x.correlation_id.empty())
    return copy(x);
  thread_local recent last;
  auto known = std::find_if(last.items.begin(), last.items.end(),
                            [&](auto& y) { return y && is_same(*y, x); });
  if (known != last.items.end())
    return *known;
  auto& result = last.items[last.next++ % last.items.size()];
  result = copy(x);
  return result;
}

} // namespace actors::amqp
