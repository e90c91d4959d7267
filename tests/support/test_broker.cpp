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

} // namespace

bool test_broker::available() {
  if (!url().empty() && !environment("ACTORS_TEST_BROKER_DIR").empty())
    return true;
  std::fputs("SKIPPED: no broker; scripts/test starts one\n", stderr);
  return false;
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
