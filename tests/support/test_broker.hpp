#pragma once

#include <string>

namespace actors::testing {

/// The throw-away RabbitMQ that `scripts/test` has started, by the environment
/// variables ACTORS_TEST_BROKER (its URL), ACTORS_TEST_BROKER_CTL (the command
/// tests/support/rabbitmq) and ACTORS_TEST_BROKER_DIR (its folder).
class test_broker {
public:
  /// Whether there is one; says "SKIPPED: ..." if not.
  static bool available();

  static std::string url();

  /// rabbitmqctl with these arguments. Fails the test if that fails.
  static void ctl(const std::string& arguments);

  /// Ends the broker in good order, starts it again on its port and data.
  static void restart();

  /// Ends the broker as a crash does.
  static void kill();

private:
  static void run(const std::string& command, const std::string& arguments);
};

/// A name that no other run of the tests uses.
std::string unique_name(const std::string& what);

} // namespace actors::testing
