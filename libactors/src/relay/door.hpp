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
  /// Whether connections use TLS, through CAF's OpenSSL module.
  bool tls = false;
  /// Called with an errno when the system has no resources for another connection. Waiting
  /// connections are not lost, but attempts to accept them fail until resources are free.
  std::function<void(int)> on_shortage;
};

/// Makes a door for hosts. Error: the address or port is not available.
caf::expected<caf::io::doorman_ptr> make_relay_door(caf::io::network::default_multiplexer& loop,
                                                    relay_door_settings settings);

} // namespace actors
