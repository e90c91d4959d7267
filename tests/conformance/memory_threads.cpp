#define CAF_SUITE memory.threads

#include "conformance/memory_under_test.hpp"

#include <atomic>
#include <thread>

#include "caf/test/unit_test.hpp"

using namespace actors;
using namespace actors::amqp;

namespace {

constexpr int publishers = 3;
constexpr int consumers = 3;
constexpr int messages = 400;
constexpr int total = publishers * messages;

struct totals {
  std::atomic<int> settled = 0;
  std::atomic<int> confirmed = 0;
};

/// Counts, and keeps what its thread is to settle.
class worker_sink : public sink {
public:
  explicit worker_sink(totals& sums) : sums_(sums) {
    // nop
  }

  void up(std::string) override {
  }
  void replied(reply) override {
  }
  void returned(returned_message) override {
  }
  void blocked(std::string) override {
  }
  void unblocked() override {
  }
  void cancelled(consumer_id) override {
  }
  void channel_closed(channel, failure) override {
  }

  void delivered(std::uint32_t, std::vector<delivery> xs) override {
    std::lock_guard guard{mutex_};
    for (auto& x : xs)
      waiting_.push_back(std::move(x));
    changed_.notify_all();
  }

  void confirmed(std::vector<confirmation> xs) override {
    sums_.confirmed += static_cast<int>(xs.size());
  }

  void down(failure) override {
    std::lock_guard guard{mutex_};
    down_ = true;
    changed_.notify_all();
  }

  /// Waits for deliveries; empty at the end of the link.
  std::vector<delivery> wait() {
    std::unique_lock guard{mutex_};
    changed_.wait_for(guard, std::chrono::seconds{60}, [&] { return down_ || !waiting_.empty(); });
    return std::exchange(waiting_, {});
  }

private:
  totals& sums_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool down_ = false;
  std::vector<delivery> waiting_;
};

struct worker {
  worker(const std::shared_ptr<memory_broker>& broker, totals& sums)
      : events(std::make_shared<worker_sink>(sums)), link(make_memory_transport(broker)) {
    link->connect({}, events);
  }

  std::shared_ptr<worker_sink> events;
  transport_ptr link;
};

/// Requeues every seventh first delivery and acknowledges all others. Ends when
/// all messages are settled, and then wakes the others by dropping all links.
void consume(const std::shared_ptr<memory_broker>& broker, totals& sums) {
  worker self{broker, sums};
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
    self.link->settle(1, verdicts);
    if (sums.settled += acks; sums.settled == total)
      broker->drop_links();
  }
}

void publish(const std::shared_ptr<memory_broker>& broker, totals& sums) {
  worker self{broker, sums};
  for (auto i = 0; i < messages; ++i) {
    publication x;
    x.id = static_cast<std::uint64_t>(i) + 1;
    x.exchange = "amq.topic";
    x.routing_key = "a.b";
    x.body = std::make_shared<const std::string>("x");
    self.link->publish({x});
  }
}

/// Links come and go meanwhile.
void disturb(const std::shared_ptr<memory_broker>& broker, totals& sums) {
  for (auto i = 0; i < 100; ++i) {
    worker self{broker, sums};
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
  totals sums;
  worker owner{broker, sums};
  owner.link->request(1, declare_queue{{"q", false, false, false}});
  owner.link->request(2, bind_queue{{"amq.topic", "q", "#"}});
  std::vector<std::thread> threads;
  for (auto i = 0; i < consumers; ++i)
    threads.emplace_back(consume, broker, std::ref(sums));
  for (auto i = 0; i < publishers; ++i)
    threads.emplace_back(publish, broker, std::ref(sums));
  threads.emplace_back(disturb, broker, std::ref(sums));
  for (auto& x : threads)
    x.join();
  CAF_CHECK_EQUAL(sums.settled.load(), total);
  CAF_CHECK_EQUAL(sums.confirmed.load(), total);
  for (auto& x : broker->queues())
    CAF_CHECK_EQUAL(x.ready + x.unacked, 0u);
  CAF_CHECK_EQUAL(broker->links(), 0u);
}
