#include "publishing/former_messages.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "publishing/publication_failures.hpp"

namespace actors {

std::chrono::milliseconds time_left(outbox::time_point deadline, outbox::time_point now) {
  using std::chrono::milliseconds;
  return std::max(std::chrono::ceil<milliseconds>(deadline - now), milliseconds{1});
}

former_messages::former_messages(std::shared_ptr<unsent_file> file) : file_(std::move(file)) {
  // nop
}

void former_messages::add(amqp::publication message, time_point now) {
  last_ = message.id;
  const auto ttl = message.properties.expiration;
  const auto deadline = ttl.count() > 0 ? std::optional{now + ttl} : std::nullopt;
  messages_.emplace(last_, outbox::remainder{std::move(message), false, deadline});
}

amqp::publication& former_messages::next() {
  return messages_.at(next_).message;
}

amqp::publication& former_messages::take_next(time_point now) {
  auto& x = messages_.at(next_++);
  if (x.deadline)
    x.message.properties.expiration = time_left(*x.deadline, now);
  return x.message;
}

void former_messages::finish(std::uint64_t id, const failure& reason) {
  if (!contains(id))
    return;
  const auto is_done = !reason || reason.code == ec::expired;
  if (!is_done && !is_for_good(reason))
    return;
  messages_.erase(id);
  if (file_ && is_done)
    file_->settle(id - 1);
  else if (file_)
    file_->set_aside(id - 1);
}

void former_messages::sync() {
  if (file_)
    file_->sync();
}

std::vector<outbox::remainder> former_messages::join(std::vector<outbox::remainder> of_outbox) {
  for (auto& x : of_outbox)
    messages_.erase(x.message.id);
  for (auto& [id, x] : messages_)
    of_outbox.push_back(std::move(x));
  messages_.clear();
  std::sort(of_outbox.begin(), of_outbox.end(),
            [](auto& x, auto& y) { return x.message.id < y.message.id; });
  return of_outbox;
}

former_messages::keeping former_messages::keep(const std::vector<amqp::publication>& messages) {
  auto file = std::exchange(file_, nullptr);
  if (!file)
    return {};
  auto err = file->replace(messages, std::chrono::system_clock::now());
  return {!err, file->path(), std::move(err)};
}

} // namespace actors
