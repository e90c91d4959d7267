#include "support/broker_folder.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

namespace actors::testing {

namespace {

std::string line(const std::string& path, const std::string& command,
                 const std::string& arguments) {
  return "'" ACTORS_TEST_SUPPORT "/rabbitmq' " + command + " '" + path + "' " + arguments;
}

std::string erlang_exchange(const std::string& name) {
  return "rabbit_misc:r(<<\"/\">>, exchange, <<\"" + name + "\">>)";
}

} // namespace

broker_folder::broker_folder(std::string path) : path_(std::move(path)) {
  // nop
}

void broker_folder::start() const {
  run("start");
}

void broker_folder::start_cluster() const {
  run("start-cluster");
}

void broker_folder::stop() const {
  run("stop");
}

std::string broker_folder::version() const {
  return ask("version");
}

std::string broker_folder::url() const {
  return ask("url");
}

void broker_folder::kill() const {
  run("kill");
}

void broker_folder::restart() const {
  run("restart");
}

void broker_folder::freeze() const {
  run("freeze");
}

void broker_folder::thaw() const {
  run("thaw");
}

void broker_folder::ctl(const std::string& arguments) const {
  run("ctl", "-q " + arguments);
}

std::string broker_folder::ask_ctl(const std::string& arguments) const {
  return ask("ctl", "-q " + arguments);
}

// By Mnesia, which RabbitMQ 4.3 has no more, and by a table of quorum queues and streams.
void broker_folder::write_down_topology() const {
  static_cast<void>(ask_ctl("eval 'catch mnesia:sync_log(), [dets:sync(T) || T <- dets:all()].'"));
}

void broker_folder::declare_durable_exchange(const std::string& name) const {
  static_cast<void>(ask_ctl("eval 'rabbit_exchange:declare(" + erlang_exchange(name)
                            + ", topic, true, false, false, [], <<\"test\">>).'"));
}

void broker_folder::delete_exchange(const std::string& name) const {
  static_cast<void>(ask_ctl("eval 'rabbit_exchange:delete(" + erlang_exchange(name)
                            + ", false, <<\"test\">>).'"));
}

void broker_folder::run(const std::string& command, const std::string& arguments) const {
  const auto text = line(path_, command, arguments) + " >/dev/null";
  if (std::system(text.c_str()) != 0)
    throw std::runtime_error("failed: " + text);
}

// The last line's end is cut off.
std::string broker_folder::ask(const std::string& command, const std::string& arguments) const {
  const auto text = line(path_, command, arguments);
  auto output = ::popen(text.c_str(), "r");
  std::string result;
  std::array<char, 4096> buffer{};
  while (output != nullptr && std::fgets(buffer.data(), buffer.size(), output) != nullptr)
    result += buffer.data();
  if (output == nullptr || ::pclose(output) != 0)
    throw std::runtime_error("failed: " + text);
  if (result.ends_with('\n'))
    result.pop_back();
  return result;
}

} // namespace actors::testing
