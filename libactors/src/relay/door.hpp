#pragma once

#include <cstdint>
#include <functional>

#include <caf/expected.hpp>
#include <caf/io/doorman.hpp>

namespace caf::io::network {
class default_multiplexer;
} // namespace caf::io::network

namespace actors {

struct relay_door_settings {
  const char* address = nullptr;
  std::uint16_t port = 0;
  /// Whether its connections speak TLS, by CAF's OpenSSL module.
  bool tls = false;
  /// Called with an errno when the system has nothing left for another connection: who
  /// waits is not lost, but each look for it would be in vain until something is free.
  std::function<void(int)> on_shortage;
};

/// A door for hosts. Error: the address or port cannot be had.
caf::expected<caf::io::doorman_ptr> make_relay_door(caf::io::network::default_multiplexer& loop,
                                                    relay_door_settings settings);

} // namespace actors
