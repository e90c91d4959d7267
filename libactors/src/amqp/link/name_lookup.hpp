#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <sys/socket.h>

#include "amqp/link/socket.hpp"

namespace actors::amqp {

/// One address of a host.
struct socket_address {
  sockaddr_storage bytes{};
  socklen_t size = 0;
};

/// What a host's name stands for.
struct resolution {
  std::vector<socket_address> addresses;
  /// Why there are none.
  std::string why;
};

/// Asks the system, for as long as it takes.
resolution look_up(const std::string& host);

/// Looks up names. The system's lookup can neither be limited nor be ended early, so it
/// has a thread of its own that nobody waits for at the end; those who ask for the same
/// name meanwhile share it.
class name_lookup {
public:
  using function = std::function<resolution(const std::string&)>;

  explicit name_lookup(function ask = &look_up);

  /// The one of this process.
  static name_lookup& shared();

  /// Waits for the answer until `limit`. Sets `error`: 0, an errno, ETIMEDOUT, or
  /// ECANCELED if it was interrupted.
  resolution resolve(const std::string& host, std::chrono::steady_clock::time_point limit,
                     const interruption& stop, int& error);

private:
  struct question;
  struct questions;

  std::shared_ptr<question> ask(const std::string& host, const std::shared_ptr<wake_up>& asker);

  function ask_;
  /// Shared with the threads, which may outlive us.
  std::shared_ptr<questions> open_;
};

} // namespace actors::amqp
