#pragma once

#include <string>

#include "support/broker_folder.hpp"

namespace actors::testing {

/// The throw-away RabbitMQ that `scripts/test` has started, by the environment
/// variables ACTORS_TEST_BROKER (its URL) and ACTORS_TEST_BROKER_DIR (its folder).
class test_broker {
public:
  /// Whether there is one; says "SKIPPED: ..." if not.
  /// A strict one, which denies what most tests need, is for the tests of that alone.
  static bool available();
  static bool strict_is_available();

  static std::string url();

  static broker_folder folder();

  /// rabbitmqctl with these arguments. Fails the test if that fails.
  static void ctl(const std::string& arguments);

  /// Ends the broker in good order, starts it again on its port and data.
  static void restart();

  /// Ends the broker as a crash does.
  static void kill();
};

/// A name that no other run of the tests uses.
std::string unique_name(const std::string& what);

} // namespace actors::testing
