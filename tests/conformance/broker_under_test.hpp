#pragma once

#include <chrono>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "amqp/transport.hpp"

namespace actors::amqp::conformance {

/// A broker, and what a test has left on it.
class broker_under_test {
public:
  using time_machine = std::function<void(std::chrono::milliseconds)>;

  /// Without a `pass_time` the broker has a time of its own.
  broker_under_test(std::function<transport_ptr()> make_link, endpoint where,
                    time_machine pass_time = nullptr)
      : make_link_(std::move(make_link)),
        where_(std::move(where)),
        pass_time_(std::move(pass_time)) {
    // nop
  }

  transport_ptr make_link() const {
    return make_link_();
  }

  const endpoint& where() const {
    return where_;
  }

  /// Lets time pass for a broker that waits for it. On others it passes anyway:
  /// wait for what it brings about.
  void pass(std::chrono::milliseconds time) const {
    if (pass_time_)
      pass_time_(time);
  }

  /// A name that no other run and no other test uses.
  std::string name(const std::string& text) {
    return prefix_ + text;
  }

  std::vector<std::string> queues;
  std::vector<std::string> exchanges;
  /// Whether it is reached by a relay, which acknowledges for consumers that do not.
  bool relayed = false;

private:
  std::function<transport_ptr()> make_link_;
  endpoint where_;
  time_machine pass_time_;
  std::string prefix_ = "actors-test-" + std::to_string(std::random_device{}()) + "-";
};

} // namespace actors::amqp::conformance

/// A test of what every broker does. The including file defines
/// `with_broker(f)`, which calls `f` with a broker if there is one.
#define CONFORMANCE_TEST(name)                                                                     \
  static void name(actors::amqp::conformance::broker_under_test& broker);                          \
  CAF_TEST(name) {                                                                                 \
    with_broker(name);                                                                             \
  }                                                                                                \
  static void name(actors::amqp::conformance::broker_under_test& broker)
