#pragma once

#include <memory>

#include "amqp/link/socket.hpp"

namespace actors::amqp {

/// Makes a TLS connection (1.2 or later) of a TCP connection, within the
/// endpoint's handshake time-out: proves who the broker is as `endpoint::tls`
/// says, and shows our certificate if there is one. Destroying the stream tells
/// the broker that nothing more comes.
outcome<std::unique_ptr<byte_stream>> start_tls(file_descriptor fd, const endpoint& where,
                                                const interruption& stop);

} // namespace actors::amqp
