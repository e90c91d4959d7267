#pragma once

#include <memory>

#include "amqp/link/socket.hpp"

namespace actors::amqp {

/// Turns a TCP connection into a TLS connection (1.2 or later), within the endpoint's handshake
/// time-out. The handshake verifies the broker as `endpoint::tls` says, and shows our
/// certificate if there is one. The stream's destructor tells the broker that nothing more
/// comes.
outcome<std::unique_ptr<byte_stream>> start_tls(file_descriptor fd, const endpoint& where,
                                                const interruption& stop);

} // namespace actors::amqp
