#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "amqp/transport.hpp"
#include "conformance/broker_under_test.hpp"
#include "support/broker_version.hpp"

namespace actors::amqp::conformance {

/// A delivery and the life of the channel that it came on.
struct received : delivery {
  std::uint32_t generation = 0;
};

std::vector<std::string> bodies(const std::vector<received>& xs);

/// A link with blocking calls. Each waits for its event and fails the test
/// when that does not come.
class client {
public:
  /// Connects.
  explicit client(broker_under_test& broker);

  ~client();

  /// The version of the broker, or of the RabbitMQ that it stands for.
  testing::broker_version version() const;

  // -- topology -----------------------------------------------------------------

  failure call(operation what);

  /// Does not wait.
  request_id send(operation what);

  reply answer(request_id id);

  /// Declares an exchange that is gone with its last binding.
  std::string exchange(const std::string& name, exchange_type type = exchange_type::topic);

  /// Declares a queue that stays until the test ends.
  std::string queue(const std::string& name);

  /// The same with arguments; quorum queues and streams are durable.
  std::string queue(const std::string& name, field_table arguments);

  void bind(const std::string& exchange, const std::string& queue, const std::string& routing_key);

  bool exists(const std::string& queue);

  /// How many messages wait in a queue.
  std::uint64_t messages(const std::string& queue);

  bool exchange_exists(const std::string& exchange);

  // -- publishing ---------------------------------------------------------------

  /// Does not wait; returns the identifier.
  std::uint64_t post(publication x);

  /// The same, for the given life of the channel.
  std::uint64_t post(publication x, std::uint32_t generation);

  /// Waits for the confirmation.
  void publish(publication x);

  void publish(const std::string& exchange, const std::string& routing_key,
               const std::string& body);

  /// Publishes to a queue by its name.
  void fill(const std::string& queue, const std::vector<std::string>& bodies);

  bool confirmed(std::uint64_t id);

  /// Waits until a publication is refused.
  failure refused(std::uint64_t id);

  returned_message returned();

  /// How many have come that `returned` has not given back.
  std::size_t returns() const;

  // -- consuming ----------------------------------------------------------------

  void consume(consumer x);

  std::vector<received> take(std::size_t n);

  received take();

  /// Waits until all that is on its way has arrived, and returns it.
  std::vector<received> take_all();

  void settle(const received& x, settlement::verdict what, bool multiple = false);

  void settle(std::uint32_t generation, settlement x);

  consumer_id cancelled();

  // -- the link -----------------------------------------------------------------

  closed_channel channel_closed();

  std::size_t channels_closed() const;

  void close();

  failure down();

  /// One word for each event so far, e.g. "replied 3".
  std::vector<std::string> log() const;

  std::string last_event() const;

private:
  failure start(consumer what);

  class recorder;

  broker_under_test& broker_;
  std::shared_ptr<recorder> events_;
  transport_ptr link_;
  request_id last_request_ = 0;
  std::uint64_t last_publication_ = 0;
};

/// Calls `f` until it is true; each call asks the broker.
template <class F>
bool eventually(F f) {
  auto end = std::chrono::steady_clock::now() + std::chrono::seconds{10};
  while (std::chrono::steady_clock::now() < end)
    if (f())
      return true;
  return false;
}

/// The same with headers in the order of their names: a broker need not keep it.
properties sorted(properties x);

/// A message for a queue by its name.
publication to_queue(const std::string& queue, const std::string& body);

/// Deletes what a test has left on the broker.
void clean_up(broker_under_test& broker);

} // namespace actors::amqp::conformance
