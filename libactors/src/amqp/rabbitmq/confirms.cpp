#include "amqp/rabbitmq/confirms.hpp"

namespace actors::amqp {

bool unconfirmed::settle(std::uint64_t tag, bool multiple, bool accepted,
                         std::vector<confirmation>& result) {
  auto end_tag = first_tag_ + entries_.size();
  if (tag == 0 && multiple)
    tag = end_tag - 1;
  if (tag == 0 || tag >= end_tag)
    return false;
  if (tag < first_tag_)
    return true;
  auto last = static_cast<std::size_t>(tag - first_tag_);
  for (auto i = multiple ? 0 : last; i <= last; ++i) {
    if (!entries_[i].settled)
      result.push_back({entries_[i].id, accepted});
    entries_[i].settled = true;
  }
  while (!entries_.empty() && entries_.front().settled) {
    entries_.pop_front();
    ++first_tag_;
  }
  return true;
}

} // namespace actors::amqp
