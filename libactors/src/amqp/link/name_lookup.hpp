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

/// The outcome of a name lookup.
struct resolution {
  std::vector<socket_address> addresses;
  /// Why there are no addresses.
  std::string why;
};

/// Asks the system's resolver; blocks for as long as it takes.
resolution look_up(const std::string& host);

/// Looks up names within a time limit. The system's lookup can be neither limited nor ended
/// early, so each one has a thread of its own that nobody waits for; callers that ask for the
/// same name meanwhile share the lookup.
class name_lookup {
public:
  using function = std::function<resolution(const std::string&)>;

  explicit name_lookup(function ask = &look_up);

  /// Returns the instance of this process.
  static name_lookup& shared();

  /// Waits for the answer until `limit`. Sets `error` to 0, an errno, ETIMEDOUT, or ECANCELED
  /// after an interruption.
  resolution resolve(const std::string& host, std::chrono::steady_clock::time_point limit,
                     const interruption& stop, int& error);

private:
  struct question;
  struct questions;

  std::shared_ptr<question> ask(const std::string& host, const std::shared_ptr<wake_up>& asker);

  function ask_;
  /// The threads share these questions, because they may outlive this object.
  std::shared_ptr<questions> open_;
};

} // namespace actors::amqp
