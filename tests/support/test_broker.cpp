#include "support/test_broker.hpp"

#include <cstdio>
#include <cstdlib>
#include <random>
#include <stdexcept>

namespace actors::testing {

namespace {

std::string environment(const char* name) {
  auto value = std::getenv(name);
  return value ? value : "";
}

} // namespace

bool test_broker::available() {
  if (!url().empty() && !environment("ACTORS_TEST_BROKER_CTL").empty())
    return true;
  std::fputs("SKIPPED: no broker; scripts/test starts one\n", stderr);
  return false;
}

std::string test_broker::url() {
  return environment("ACTORS_TEST_BROKER");
}

void test_broker::run(const std::string& command, const std::string& arguments) {
  const auto line = "'" + environment("ACTORS_TEST_BROKER_CTL") + "' " + command + " '"
                    + environment("ACTORS_TEST_BROKER_DIR") + "' " + arguments + " >&2";
  if (std::system(line.c_str()) != 0)
    throw std::runtime_error("failed: " + line);
}

void test_broker::ctl(const std::string& arguments) {
  run("ctl", "-q " + arguments);
}

void test_broker::restart() {
  run("restart", "");
}

void test_broker::kill() {
  run("kill", "");
}

std::string unique_name(const std::string& what) {
  static std::random_device random;
  return what + '-' + std::to_string(random());
}

} // namespace actors::testing
