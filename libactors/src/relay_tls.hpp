#pragma once

#include <cstdint>

#include <caf/expected.hpp>
#include <caf/io/doorman.hpp>

namespace caf::io::network {
class multiplexer;
} // namespace caf::io::network

namespace actors {

/// A door whose connections speak TLS, by CAF's OpenSSL module. Error: the address or
/// port cannot be had.
caf::expected<caf::io::doorman_ptr> make_tls_doorman(caf::io::network::multiplexer& loop,
                                                     std::uint16_t port, const char* address);

} // namespace actors
