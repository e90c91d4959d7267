#define CAF_SUITE cluster

// Three nodes, of which one at a time crashes.

#include "support/numbered_fixture.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace actors::testing;
using namespace std::chrono_literals;

namespace {

/// In a folder within that of the test broker, which also ends what is left there.
class cluster {
public:
  cluster() {
    folder_.stop(); // one that outlived its tests
    folder_.start_cluster();
  }

  ~cluster() {
    folder_.stop();
  }

  static broker_folder node(int number) {
    return broker_folder{folder_.path() + "/node-" + std::to_string(number)};
  }

  /// The node where a quorum queue takes its messages.
  static broker_folder leader_of(const std::string& queue) {
    for (auto number : {1, 2, 3}) {
      // As "actors-test-PORT@localhost".
      const auto url = node(number).url();
      const auto port = url.substr(url.rfind(':') + 1);
      if (leader(queue).find('-' + port + '@') != std::string::npos)
        return node(number);
    }
    CAF_FAIL("queue " << queue << " has no leader");
  }

  static config settings() {
    auto result = settings_for_tests(node(1).url());
    for (auto number : {2, 3})
      result.endpoints.push_back(settings_for_tests(node(number).url()).endpoints[0]);
    return result;
  }

private:
  /// By any node that runs.
  static std::string leader(const std::string& queue) {
    for (auto number : {1, 2, 3}) {
      try {
        return node(number).ask_ctl("list_queues --silent name leader | grep " + queue);
      } catch (const std::runtime_error&) {
        continue; // it is the one that crashed
      }
    }
    return {};
  }

  static inline const broker_folder folder_{test_broker::folder().path() + "/cluster"};
};

} // namespace

CAF_TEST(a quorum queue loses nothing when its leader crashes) {
  if (!test_broker::available())
    return;
  cluster nodes;
  numbered_fixture f{cluster::settings()};
  CAF_REQUIRE(f.start(
      subscription::to<numbered>(f.key).on_quorum_queue(f.queue).single_active_consumer().acked(
          ack_policy::on_success)));
  const auto leader = cluster::leader_of(f.queue);
  leader.kill();
  CAF_CHECK(f.goes_on());
  // When the node is back, RabbitMQ would hand a message to the consumer that was on it,
  // though it is dead, and others would overtake it: but for the single active consumer.
  leader.restart();
  CAF_CHECK(f.goes_on());
  CAF_CHECK(f.is_clean());
}
