#pragma once

#include "actors/amqp/endpoint.hpp"
#include "actors/ec.hpp"

namespace actors::amqp {

/// Reads the password of a login from its file, if it has one. What is wrong names the file
/// and never what is in it (`ec::login_refused`).
failure read_password(endpoint& where);

} // namespace actors::amqp
