#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "amqp/transport.hpp"

namespace actors::testing {

/// The network between strategy hosts and their relay, within the process: no socket, no
/// thread, and faults on demand.
class relay_network {
public:
  using make_link = std::function<amqp::transport_ptr()>;

  /// `to_broker` makes a relay's links to its broker. `wake_up` is called from any thread
  /// when there is something to `run`, which it must not do itself.
  relay_network(make_link to_broker, std::function<void()> wake_up);

  ~relay_network();

  /// Moves what can be moved. Called from one thread at a time.
  void run();

  /// A host's link, by a relay.
  amqp::transport_ptr make_transport();

  /// Ends all connections between hosts and relay. What was on its way is lost.
  void cut();

  /// Nothing arrives, in either direction, until `release`.
  void hold();
  void release();

  class wire;
  class work;

private:
  std::vector<std::shared_ptr<wire>> wires();

  make_link to_broker_;
  std::shared_ptr<work> work_;
  std::mutex mutex_;
  std::vector<std::weak_ptr<wire>> wires_;
  bool holding_ = false;
};

} // namespace actors::testing
