#pragma once

#include "actors/amqp/endpoint.hpp"
#include "actors/ec.hpp"

namespace actors::amqp {

/// Reads the password of a login from its file, if the endpoint names one. An error
/// (`ec::login_refused`) names the file, and never its contents.
failure read_password(endpoint& where);

} // namespace actors::amqp
