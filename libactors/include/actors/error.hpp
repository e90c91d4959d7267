#pragma once

#include <exception>
#include <string>

#include <caf/error.hpp>
#include <caf/make_message.hpp> // caf::error's constructors need it

#include "actors/ec.hpp"

namespace actors {

/// Wraps an error code and its message into a `caf::error` of our category.
caf::error make_error(ec code, std::string text);

/// Wraps a failure of the AMQP layer.
caf::error make_error(failure x);

/// Gives back the code of an error made here, `ec::none` for any other.
ec code_of(const caf::error& x) noexcept;

/// Gives back the text of an error made here, what the exception said for an actor that
/// ended with one, CAF's own rendering otherwise.
std::string text_of(const caf::error& x);

/// Gives back what an exception says, or that it is no `std::exception`.
std::string text_of(const std::exception_ptr& x);

/// The failure that an error made here stands for; errors of other categories
/// become `ec::handler_failed` with CAF's rendering as text.
failure to_failure(const caf::error& x);

} // namespace actors
