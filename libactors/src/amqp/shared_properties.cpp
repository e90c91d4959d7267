#include "amqp/shared_properties.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>

namespace actors::amqp {

namespace {

/// The properties seen last, one item for each of a few kinds of publishers.
struct recent {
  std::array<std::shared_ptr<const other_properties>, 4> items;
  std::size_t next = 0;
};

bool is_empty(const other_properties_view& x) noexcept {
  return x.content_type.empty() && x.content_encoding.empty() && x.correlation_id.empty()
         && x.reply_to.empty() && x.type.empty() && x.app_id.empty() && !x.priority;
}

bool is_same(const other_properties& kept, const other_properties_view& wanted) noexcept {
  return kept.content_type == wanted.content_type
         && kept.content_encoding == wanted.content_encoding
         && kept.correlation_id == wanted.correlation_id && kept.reply_to == wanted.reply_to
         && kept.type == wanted.type && kept.app_id == wanted.app_id
         && kept.priority == wanted.priority;
}

std::shared_ptr<const other_properties> copy(const other_properties_view& x) {
  return std::make_shared<const other_properties>(other_properties{
      std::string{x.content_type}, std::string{x.content_encoding}, std::string{x.correlation_id},
      std::string{x.reply_to}, std::string{x.type}, std::string{x.app_id}, x.priority});
}

} // namespace

std::shared_ptr<const other_properties> share(const other_properties_view& wanted) {
  if (is_empty(wanted))
    return nullptr;
  // Properties that name their own message do not come again.
  if (!wanted.correlation_id.empty())
    return copy(wanted);
  thread_local recent last;
  auto known = std::find_if(last.items.begin(), last.items.end(),
                            [&](auto& kept) { return kept && is_same(*kept, wanted); });
  if (known != last.items.end())
    return *known;
  auto& result = last.items[last.next++ % last.items.size()];
  result = copy(wanted);
  return result;
}

} // namespace actors::amqp
