#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include <caf/event_based_actor.hpp>
#include <caf/result.hpp>

#include "actors/subscription.hpp"
#include "poison/peer.hpp"
#include "poison/stage.hpp"

namespace actors::poison {

/// How what is bad is to be answered.
enum class answer : std::uint8_t { any, granted, refused };

/// What a strategy does with an event.
using handler = std::function<caf::result<void>(caf::event_based_actor*, const event&)>;

/// One bad thing on its way: what it has started, and whether that was answered.
class attempt {
public:
  /// All names that it uses hold `tag`, so that the log can be searched for them.
  attempt(stage& where, std::string tag, answer expected);

  ~attempt();

  attempt(const attempt&) = delete;
  attempt& operator=(const attempt&) = delete;

  stage& where() noexcept {
    return stage_;
  }

  event_center center() const {
    return stage_.center();
  }

  const std::string& tag() const noexcept {
    return tag_;
  }

  /// A name of its own; as a queue's it is deleted in the end.
  std::string name(const std::string& text);

  /// A strategy whose subscription must be answered.
  caf::actor subscribe(subscription what, handler act = nullptr);

  /// The same, with a thread of its own, which it may block.
  caf::actor subscribe_apart(subscription what, handler act);

  /// Ready when the case ends; for whoever blocks until then.
  std::shared_future<void> end() const {
    return end_;
  }

  /// Another strategy of this case, ended with it.
  void keep(caf::actor x);
  /// One more answer must come, by the function that is given back; from any thread.
  std::function<void(const caf::error&)> expect_answer();

  /// A publication that must be answered.
  void publish(event x, publish_options options = {}, std::size_t times = 1);

  /// Somebody else at the broker.
  peer& other();

  /// A TCP connection to the relay, closed in the end.
  int connect();
  /// The same, with these bytes sent.
  void connect_and_say(const std::string& bytes);

  /// Waits until all is answered; what is wrong with the answers.
  std::vector<std::string> answers_within(std::chrono::milliseconds limit);

private:
  class answers;

  stage& stage_;
  std::string tag_;
  std::promise<void> ended_;
  std::shared_future<void> end_{ended_.get_future()};
  std::shared_ptr<answers> answers_;
  std::unique_ptr<peer> peer_;
  std::vector<caf::actor> actors_;
  std::vector<std::string> queues_;
  std::vector<int> sockets_;
};

} // namespace actors::poison
