#include "support/test_broker.hpp"

#include <cstdio>
#include <cstdlib>
#include <random>

namespace actors::testing {

namespace {

std::string environment(const char* name) {
  auto value = std::getenv(name);
  return value ? value : "";
}

bool is_there() {
  return !environment("ACTORS_TEST_BROKER").empty()
         && !environment("ACTORS_TEST_BROKER_DIR").empty();
}

bool is_strict() {
  return environment("ACTORS_TEST_BROKER_VERSION") == "strict";
}

/// Gives back false.
bool skipped(const char* why) {
  std::fprintf(stderr, "SKIPPED: %s\n", why);
  return false;
}

} // namespace

bool test_broker::available() {
  if (!is_there())
    return skipped("no broker; scripts/test starts one");
  return !is_strict() || skipped("the strict broker denies transient queues or large messages");
}

bool test_broker::strict_is_available() {
  return (is_there() && is_strict()) || skipped("no strict broker; scripts/test starts one");
}

std::string test_broker::url() {
  return environment("ACTORS_TEST_BROKER");
}

broker_folder test_broker::folder() {
  return broker_folder{environment("ACTORS_TEST_BROKER_DIR")};
}

void test_broker::ctl(const std::string& arguments) {
  folder().ctl(arguments);
}

void test_broker::restart() {
  folder().restart();
}

void test_broker::kill() {
  folder().kill();
}

std::string unique_name(const std::string& what) {
  static std::random_device random;
  return what + '-' + std::to_string(random());
}

} // namespace actors::testing
