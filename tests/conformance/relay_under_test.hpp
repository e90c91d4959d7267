#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "actors/amqp/memory_broker.hpp"
#include "amqp/memory/transport.hpp"
#include "conformance/client.hpp"
#include "support/relayed_transport.hpp"

namespace actors::amqp::conformance {

/// A relay with a thread, as a relay has one.
class running_relay {
public:
  explicit running_relay(std::shared_ptr<memory_broker> broker)
      : network_([broker] { return make_memory_transport(broker); }, [this] { wake_up(); }),
        thread_([this] { run(); }) {
    // nop
  }

  ~running_relay() {
    {
      std::lock_guard guard{mutex_};
      stopped_ = true;
    }
    changed_.notify_one();
    thread_.join();
    network_.run();
  }

  transport_ptr make_transport() {
    return network_.make_transport();
  }

private:
  void wake_up() {
    {
      std::lock_guard guard{mutex_};
      awake_ = true;
    }
    changed_.notify_one();
  }

  void run() {
    std::unique_lock guard{mutex_};
    while (!stopped_) {
      changed_.wait(guard, [this] { return awake_ || stopped_; });
      awake_ = false;
      guard.unlock();
      network_.run();
      guard.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool awake_ = false;
  bool stopped_ = false;
  testing::relay_network network_;
  std::thread thread_;
};

/// Each test has a broker of its own, which is reached by a relay.
template <class F>
void with_broker(F f) {
  auto memory = std::make_shared<memory_broker>();
  auto relay = std::make_shared<running_relay>(memory);
  broker_under_test broker{[relay] { return relay->make_transport(); }, endpoint{},
                           [memory](auto time) { memory->advance(time); }};
  broker.relayed = true;
  f(broker);
}

} // namespace actors::amqp::conformance
