#pragma once

#include <string>

namespace actors::testing {

/// A throw-away RabbitMQ that lives in a folder, as the command tests/support/rabbitmq
/// runs it. Each call throws if the command fails.
class broker_folder {
public:
  explicit broker_folder(std::string path);

  const std::string& path() const noexcept {
    return path_;
  }

  /// Starts a broker, or one that was here before.
  void start() const;

  /// Starts three nodes in the folders "node-1" to "node-3" within.
  void start_cluster() const;

  void stop() const;

  /// Its version.
  std::string version() const;

  /// Its URL.
  std::string url() const;

  /// Ends the broker as a crash does.
  void kill() const;

  /// Ends it in good order if it runs, starts it again on its port and data.
  void restart() const;

  /// Has it do nothing any more, and go on.
  void freeze() const;
  void thaw() const;

  /// rabbitmqctl with these arguments.
  void ctl(const std::string& arguments) const;

  /// The same; gives back what it prints.
  std::string ask_ctl(const std::string& arguments) const;

  /// Has RabbitMQ write down which queues, bindings and streams are new and where they are:
  /// killed before it does so by itself, it has forgotten them.
  void write_down_topology() const;

  /// Declares a durable topic exchange, as whoever runs a broker for messages that
  /// outlive it does. Event centers use it as it is.
  void declare_durable_exchange(const std::string& name) const;
  void delete_exchange(const std::string& name) const;

private:
  void run(const std::string& command, const std::string& arguments = {}) const;
  std::string ask(const std::string& command, const std::string& arguments = {}) const;

  std::string path_;
};

} // namespace actors::testing
