#pragma once

#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#include "amqp/transport.hpp"

namespace actors::testing {

/// What a connection asked of its transport, and the listener to raise events on.
struct scripted_link {
  struct settled {
    std::uint32_t generation = 0;
    std::vector<amqp::settlement> items;
  };

  amqp::endpoint where;
  std::shared_ptr<amqp::link_listener> events;
  std::vector<std::pair<amqp::request_id, amqp::operation>> requests;
  std::vector<amqp::publication> published;
  /// Of the last publications.
  std::uint32_t publishing_generation = 0;
  std::vector<settled> settlements;
  bool closing = false;
  /// Makes the next call of the sender throw, as a fault of ours would.
  bool throws = false;

  void throw_if_told() {
    if (std::exchange(throws, false))
      throw std::runtime_error{"a fault"};
  }

  /// Answers every open request with success, naming queues as they were asked
  /// for. Gives back how many there were.
  std::size_t answer_all() {
    auto open = std::exchange(requests, {});
    for (auto& [id, what] : open) {
      amqp::reply reply{.id = id};
      if (auto x = std::get_if<amqp::declare_queue>(&what))
        reply.queue = x->spec.name.empty() ? "amq.gen-1" : x->spec.name;
      events->replied(std::move(reply));
    }
    return open.size();
  }
};

/// Notes what goes out.
class scripted_sender : public amqp::link_sender {
public:
  explicit scripted_sender(std::shared_ptr<scripted_link> link) : link_(std::move(link)) {
    // nop
  }

  void publish(std::uint32_t generation, std::vector<amqp::publication> xs) override {
    link_->throw_if_told();
    link_->publishing_generation = generation;
    for (auto& x : xs)
      link_->published.push_back(std::move(x));
  }

  void settle(std::uint32_t generation, std::vector<amqp::settlement> xs) override {
    link_->throw_if_told();
    link_->settlements.push_back({generation, std::move(xs)});
  }

private:
  std::shared_ptr<scripted_link> link_;
};

/// A broker's side that does only what the test says.
class scripted_transport : public amqp::transport {
public:
  explicit scripted_transport(std::shared_ptr<scripted_link> link) : link_(std::move(link)) {
    // nop
  }

  ~scripted_transport() override {
    link_->events = nullptr;
  }

  void connect(const amqp::endpoint& where, std::shared_ptr<amqp::link_listener> events) override {
    link_->where = where;
    link_->events = std::move(events);
  }

  void request(amqp::request_id id, amqp::operation what) override {
    link_->requests.emplace_back(id, std::move(what));
  }

  amqp::link_sender_ptr out() override {
    return std::make_shared<scripted_sender>(link_);
  }

  bool has_thread() const noexcept override {
    return false;
  }

  void close() override {
    link_->closing = true;
  }

private:
  std::shared_ptr<scripted_link> link_;
};

} // namespace actors::testing
