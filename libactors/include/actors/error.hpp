#pragma once

#include <exception>
#include <string>

#include <caf/error.hpp>
#include <caf/make_message.hpp> // caf::error's constructors need it

#include "actors/ec.hpp"
#include "actors/export.hpp"

namespace actors {

/// Wraps an error code and its message into a `caf::error` of our category.
ACTORS_EXPORT caf::error make_error(ec code, std::string text);

/// Wraps a failure of the AMQP layer.
ACTORS_EXPORT caf::error make_error(failure x);

/// Gives back the code of an error made here, `ec::none` for any other.
ACTORS_EXPORT ec code_of(const caf::error& x) noexcept;

/// Gives back the text of an error made here, what the exception said for an actor that
/// ended with one, CAF's own rendering otherwise.
ACTORS_EXPORT std::string text_of(const caf::error& x);

/// Gives back what an exception says, or that it is no `std::exception`.
ACTORS_EXPORT std::string text_of(const std::exception_ptr& x);

/// The failure that an error made here stands for; errors of other categories
/// become `ec::handler_failed` with CAF's rendering as text.
ACTORS_EXPORT failure to_failure(const caf::error& x);

} // namespace actors
