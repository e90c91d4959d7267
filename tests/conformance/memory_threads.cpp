#define CAF_SUITE memory.threads

#include "conformance/memory_under_test.hpp"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "amqp/memory/transport.hpp"
#include "caf/test/unit_test.hpp"
#include "support/silent_listener.hpp"

using namespace actors;
using namespace actors::amqp;

namespace {

constexpr int publishers = 3;
constexpr int consumers = 3;
constexpr int messages = 400;
constexpr int total = publishers * messages;
constexpr auto patience = std::chrono::seconds{60};

/// What all threads have done together; what they wait on.
struct progress {
  std::mutex mutex;
  std::condition_variable changed;
  int settled = 0;
  int confirmed = 0;

  template <class Predicate>
  bool wait(Predicate predicate) {
    std::unique_lock guard{mutex};
    return changed.wait_for(guard, patience, predicate);
  }

  template <class Change>
  void update(Change change) {
    std::lock_guard guard{mutex};
    change();
    changed.notify_all();
  }
};

/// Counts, and keeps what its thread is to settle.
class worker_listener : public testing::silent_listener {
public:
  explicit worker_listener(progress& all) : all_(all) {
    // nop
  }

  void replied(reply) override {
    all_.update([&] { ++replies_; });
  }

  void delivered(std::uint32_t, std::vector<delivery> xs) override {
    all_.update([&] {
      for (auto& x : xs)
        waiting_.push_back(std::move(x));
    });
  }

  void confirmed(std::vector<confirmation> xs) override {
    all_.update([&] { all_.confirmed += static_cast<int>(xs.size()); });
  }

  /// Waits for deliveries; empty once all messages are settled.
  std::vector<delivery> wait() {
    all_.wait([&] { return !waiting_.empty() || all_.settled == total; });
    std::lock_guard guard{all_.mutex};
    return std::exchange(waiting_, {});
  }

  void wait_for_replies(int count) {
    all_.wait([&] { return replies_ == count; });
  }

private:
  progress& all_;
  int replies_ = 0;
  std::vector<delivery> waiting_;
};

struct worker {
  worker(const std::shared_ptr<memory_broker>& broker, progress& all)
      : events(std::make_shared<worker_listener>(all)), link(make_memory_transport(broker)) {
    link->connect({}, events);
  }

  std::shared_ptr<worker_listener> events;
  transport_ptr link;
};

/// Requeues every seventh first delivery and acknowledges all others.
void consume(const std::shared_ptr<memory_broker>& broker, progress& all) {
  worker self{broker, all};
  self.link->request(1, start_consumer{{1, "q", 10}});
  for (auto xs = self.events->wait(); !xs.empty(); xs = self.events->wait()) {
    std::vector<settlement> verdicts;
    auto acks = 0;
    for (auto& x : xs) {
      auto again = !x.redelivered && x.tag % 7 == 0;
      acks += again ? 0 : 1;
      verdicts.push_back(
          {x.tag, again ? settlement::verdict::requeue : settlement::verdict::ack, false});
    }
    self.link->out()->settle(1, verdicts);
    all.update([&] { all.settled += acks; });
  }
  // A link that ends while the broker stalls loses what it asked for last.
  self.link->request(2, declare_queue{{"q", false, false, false}, true});
  self.events->wait_for_replies(2);
}

void publish(const std::shared_ptr<memory_broker>& broker, progress& all) {
  worker self{broker, all};
  for (auto i = 0; i < messages; ++i) {
    publication x;
    x.id = static_cast<std::uint64_t>(i) + 1;
    x.exchange = "amq.topic";
    x.routing_key = "a.b";
    x.body = std::make_shared<const std::string>("x");
    self.link->out()->publish(1, {x});
  }
  all.wait([&] { return all.confirmed == total; });
}

/// Links come and go meanwhile.
void disturb(const std::shared_ptr<memory_broker>& broker, progress& all) {
  for (auto i = 0; i < 100; ++i) {
    worker self{broker, all};
    self.link->request(1, declare_queue{{"", false, true, true}});
    broker->stall();
    self.link->request(2, declare_queue{{"passing", false, false, true}});
    broker->resume();
    broker->queues();
    if (i % 2 == 0)
      self.link->close();
  }
}

} // namespace

// Nothing is lost and nothing is doubled when many threads work on one broker.
CAF_TEST(links of many threads share a broker) {
  auto broker = std::make_shared<memory_broker>();
  progress all;
  worker owner{broker, all};
  owner.link->request(1, declare_queue{{"q", false, false, false}});
  owner.link->request(2, bind_queue{{"amq.topic", "q", "#"}});
  std::vector<std::thread> threads;
  for (auto i = 0; i < consumers; ++i)
    threads.emplace_back(consume, broker, std::ref(all));
  for (auto i = 0; i < publishers; ++i)
    threads.emplace_back(publish, broker, std::ref(all));
  threads.emplace_back(disturb, broker, std::ref(all));
  for (auto& x : threads)
    x.join();
  CAF_CHECK_EQUAL(all.settled, total);
  CAF_CHECK_EQUAL(all.confirmed, total);
  for (auto& x : broker->queues())
    CAF_CHECK_EQUAL(x.ready + x.unacked, 0u);
  CAF_CHECK_EQUAL(broker->links(), 1u); // the owner's
}
