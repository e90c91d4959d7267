#pragma once

#include <cstdint>
#include <string>

#include <sys/types.h>

namespace actors::testing {

/// A TCP proxy in front of a broker that breaks its links on demand: the program
/// tests/support/chaos_proxy.py, which ends with this object.
class chaos_proxy {
public:
  /// In front of the broker at this URL ("amqp://user:password@host:port").
  explicit chaos_proxy(std::string url);

  chaos_proxy(const chaos_proxy&) = delete;
  chaos_proxy& operator=(const chaos_proxy&) = delete;

  ~chaos_proxy();

  /// The broker's URL by way of the proxy.
  const std::string& url() const noexcept {
    return url_;
  }

  /// Has it carry out a command ("hold", "cut", "rate 1000", ...; the program lists
  /// them). Throws if that fails.
  void tell(const std::string& command);

  /// How many connections it has taken so far.
  std::uint64_t accepted();

private:
  std::string ask(const std::string& command);
  void start(const std::string& host_and_port);

  std::string url_;
  pid_t process_ = -1;
  /// Its standard input: it ends with this, should we end without a destructor.
  int life_line_ = -1;
  int control_ = -1;
};

} // namespace actors::testing
