#include "support/tls_broker.hpp"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <stdexcept>

namespace actors::testing {

namespace {

void run(const std::string& line) {
  if (std::system((line + " >&2").c_str()) != 0)
    throw std::runtime_error("failed: " + line);
}

} // namespace

tls_broker& tls_broker::instance() {
  static tls_broker result;
  return result;
}

// In a folder within that of the test broker, which also ends what is left there.
tls_broker::tls_broker()
    : script_(std::getenv("ACTORS_TEST_BROKER_CTL")),
      dir_(std::string{std::getenv("ACTORS_TEST_BROKER_DIR")} + "/secure") {
  const auto certificates = dir_ + "/certificates";
  const auto urls = dir_ + "/urls";
  run("'" + script_.substr(0, script_.rfind('/')) + "/certificates' '" + certificates + "'");
  // One that outlived its tests would still know the former certificates.
  run(command("stop", ""));
  run(command("start", "--tls '" + certificates + "'"));
  if (std::system((command("url", "") + " >'" + urls + "'").c_str()) != 0)
    throw std::runtime_error("no URL of the broker in " + dir_);
  std::ifstream{urls} >> plain_url_ >> url_;
}

tls_broker::~tls_broker() {
  static_cast<void>(std::system((command("stop", "") + " >&2").c_str()) == 0);
}

std::string tls_broker::file(const std::string& name) const {
  return dir_ + "/certificates/" + name;
}

void tls_broker::show(const std::string& certificate) const {
  run(command("show", certificate));
}

void tls_broker::ctl(const std::string& arguments) const {
  run(command("ctl", "-q " + arguments));
}

std::string tls_broker::command(const std::string& name, const std::string& arguments) const {
  return "'" + script_ + "' " + name + " '" + dir_ + "' " + arguments;
}

} // namespace actors::testing
