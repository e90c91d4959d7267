#include "amqp/link/command_queue.hpp"

#include <algorithm>
#include <utility>
#include <variant>

namespace actors::amqp {

void command_queue::publish(std::uint32_t generation, std::vector<publication> publications) {
  send(publish_command{generation, std::move(publications)});
}

void command_queue::settle(std::uint32_t generation, std::vector<settlement> settlements) {
  send(settle_command{generation, std::move(settlements)});
}

void command_queue::send(command x) {
  auto* link = borrow();
  if (link == nullptr)
    return post(std::move(x));
  struct returning {
    command_queue& to;

    ~returning() {
      to.give_back();
    }
  } guard{*this};
  link->carry_out(std::move(x));
}

// Commands before this one must be carried out first.
idle_link* command_queue::borrow() {
  std::lock_guard guard{mutex_};
  if (lent_ == nullptr || borrowed_ || !waiting_ || !commands_.empty()
      || clock::now() - used_ < pause)
    return nullptr;
  borrowed_ = true;
  return lent_;
}

void command_queue::give_back() {
  {
    std::lock_guard guard{mutex_};
    borrowed_ = false;
    used_ = clock::now();
  }
  returned_.notify_one();
}

void command_queue::post(command added) {
  auto closes = std::holds_alternative<close_command>(added);
  auto first = false;
  {
    std::lock_guard guard{mutex_};
    first = commands_.empty() && waiting_;
    closing_ = closing_ || closes;
    commands_.push_back(std::move(added));
  }
  // A thread that does not wait fetches commands by itself, but one that is still connecting
  // notices only a close.
  if (first || closes)
    wake.signal();
}

void command_queue::stop() {
  {
    std::lock_guard guard{mutex_};
    stopped_ = true;
  }
  wake.signal();
}

std::vector<command> command_queue::take() {
  std::lock_guard guard{mutex_};
  waiting_ = std::none_of(commands_.begin(), commands_.end(), [](const command& x) {
    return std::holds_alternative<publish_command>(x);
  });
  return std::exchange(commands_, {});
}

bool command_queue::waiting() const {
  std::lock_guard guard{mutex_};
  return waiting_;
}

void command_queue::lend(idle_link& mine) {
  std::lock_guard guard{mutex_};
  lent_ = &mine;
}

void command_queue::reclaim() {
  std::unique_lock guard{mutex_};
  lent_ = nullptr;
  waiting_ = false;
  returned_.wait(guard, [this] { return !borrowed_; });
}

bool command_queue::stopped() const {
  std::lock_guard guard{mutex_};
  return stopped_;
}

bool command_queue::ending() const {
  std::lock_guard guard{mutex_};
  return stopped_ || closing_;
}

} // namespace actors::amqp
