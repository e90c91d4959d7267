#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "amqp/transport.hpp"

namespace actors::amqp {

/// Writes down the events of a link: as one line each, and as values.
class recorded_events : public link_listener {
public:
  void up(std::string broker) override {
    note("up " + broker);
  }

  void replied(reply x) override {
    note("replied " + std::to_string(x.id) + (x.queue.empty() ? "" : " " + x.queue)
         + (x.error ? " " + to_string(x.error) : ""));
  }

  void delivered(std::uint32_t generation, std::vector<delivery> xs) override {
    std::lock_guard guard{mutex_};
    lines_.push_back("delivered " + std::to_string(xs.size()) + " in life "
                     + std::to_string(generation));
    for (auto& x : xs)
      deliveries.push_back(std::move(x));
    changed_.notify_all();
  }

  void confirmed(std::vector<confirmation> xs) override {
    std::string line = "confirmed";
    for (auto& x : xs)
      line += (x.accepted ? " +" : " -") + std::to_string(x.id);
    note(std::move(line));
  }

  void returned(returned_message x) override {
    note("returned " + x.properties.message_id + " " + to_string(x.reason));
  }

  void blocked(std::string reason) override {
    note("blocked " + reason);
  }

  void unblocked() override {
    note("unblocked");
  }

  void cancelled(consumer_id x) override {
    note("cancelled " + std::to_string(x));
  }

  void refused(std::uint64_t id, failure reason) override {
    note("refused " + std::to_string(id) + " " + to_string(reason));
  }

  void channel_closed(closed_channel x) override {
    std::string whose;
    for (auto id : x.consumers)
      whose += (whose.empty() ? " of " : ",") + std::to_string(id);
    note("closed " + std::string{to_string(x.which)} + whose + " " + to_string(x.reason));
  }

  void suspected(std::vector<request_id> xs) override {
    std::string line = "suspected";
    for (auto x : xs)
      line += " " + std::to_string(x);
    note(line);
  }

  void learned(broker_limits x) override {
    note("learned channels=" + std::to_string(x.channels) + " consumers="
         + std::to_string(x.consumers_per_channel) + " size=" + std::to_string(x.message_size)
         + (x.transient_queues ? "" : " no transient queues"));
  }

  void down(failure reason) override {
    std::lock_guard guard{mutex_};
    lines_.push_back("down " + to_string(reason));
    down_code = reason.code;
    ended_ = true;
    changed_.notify_all();
  }

  /// The lines since the last call.
  std::vector<std::string> take() {
    std::lock_guard guard{mutex_};
    return std::exchange(lines_, {});
  }

  /// Waits for the end of a link that has a thread.
  bool await_down() {
    std::unique_lock guard{mutex_};
    return changed_.wait_for(guard, std::chrono::seconds{20}, [this] { return ended_; });
  }

  std::vector<delivery> deliveries;
  ec down_code = ec::none;

private:
  void note(std::string line) {
    std::lock_guard guard{mutex_};
    lines_.push_back(std::move(line));
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> lines_;
  bool ended_ = false;
};

} // namespace actors::amqp
