#pragma once

#include <cstdint>
#include <string>

namespace actors::testing {

/// The port in a broker's URL ("amqp://user:password@host:port").
std::uint16_t port_of(const std::string& url);

/// Whether somebody listens on this port of the loopback interface.
bool is_open(std::uint16_t port);

} // namespace actors::testing
