#include "poison/peer.hpp"

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>

#include "actors/amqp/memory_broker.hpp"
#include "amqp/memory/transport.hpp"
#include "amqp/rabbitmq/transport.hpp"
#include "support/silent_listener.hpp"

namespace actors::poison {

using namespace amqp;

namespace {

constexpr std::chrono::seconds patience{10};

} // namespace

class peer::recorder : public testing::silent_listener {
public:
  void up(std::string) override {
    record([&] { is_up_ = true; });
  }

  void replied(reply x) override {
    record([&] { replies_[x.id] = !x.error; });
  }

  void confirmed(std::vector<confirmation> xs) override {
    record([&] {
      for (auto& x : xs)
        answers_[x.id] = x.accepted;
    });
  }

  void refused(std::uint64_t id, failure) override {
    record([&] { answers_[id] = false; });
  }

  void channel_closed(closed_channel x) override {
    record([&] {
      if (x.which == channel::publishing) {
        ++generation_;
        is_closed_ = true;
      }
    });
  }

  void down(failure) override {
    record([&] { is_down_ = true; });
  }

  bool comes_up() {
    return wait([&] { return is_up_; });
  }

  bool granted(request_id id) {
    return wait([&] { return replies_.count(id) > 0; }) && replies_[id];
  }

  bool taken(std::uint64_t id) {
    return wait([&] { return is_closed_ || answers_.count(id) > 0; }) && answers_[id];
  }

  std::uint32_t generation() {
    std::lock_guard guard{mutex_};
    is_closed_ = false;
    return generation_;
  }

private:
  template <class F>
  void record(F f) {
    std::lock_guard guard{mutex_};
    f();
    changed_.notify_all();
  }

  template <class F>
  bool wait(F f) {
    std::unique_lock guard{mutex_};
    return changed_.wait_for(guard, patience, [&] { return is_down_ || f(); }) && !is_down_;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_up_ = false;
  bool is_down_ = false;
  bool is_closed_ = false;
  std::uint32_t generation_ = 1;
  std::map<request_id, bool> replies_;
  std::map<std::uint64_t, bool> answers_;
};

peer::peer(const endpoint& where)
    : events_(std::make_shared<recorder>()),
      link_(where.scheme == scheme::memory ? make_memory_transport(memory_broker::named(where.host))
                                           : make_rabbitmq_transport()) {
  link_->connect(where, events_);
  events_->comes_up();
}

peer::~peer() = default;

bool peer::ask(operation what) {
  link_->request(++last_request_, std::move(what));
  return events_->granted(last_request_);
}

bool peer::publish(publication x) {
  x.id = ++last_publication_;
  std::vector<publication> xs;
  xs.push_back(std::move(x));
  link_->out()->publish(events_->generation(), std::move(xs));
  return events_->taken(last_publication_);
}

bool peer::publish_to(const std::string& queue, std::string body, properties properties) {
  publication x;
  x.routing_key = queue;
  x.body = std::make_shared<const std::string>(std::move(body));
  x.properties = std::move(properties);
  return publish(std::move(x));
}

} // namespace actors::poison
