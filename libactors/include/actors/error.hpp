#pragma once

#include <exception>
#include <string>

#include <caf/error.hpp>
#include <caf/make_message.hpp> // caf::error's constructors need it

#include "actors/ec.hpp"
#include "actors/export.hpp"

namespace actors {

/// Wraps an error code and its text into a `caf::error` of the library's category.
ACTORS_EXPORT caf::error make_error(ec code, std::string text);

/// Wraps a failure of the AMQP layer.
ACTORS_EXPORT caf::error make_error(failure x);

/// Returns the code of an error from `make_error`, `ec::none` for any other.
ACTORS_EXPORT ec code_of(const caf::error& x) noexcept;

/// Returns the text of an error from `make_error`, the exception's text for an actor that ended
/// with an exception, CAF's own rendering otherwise.
ACTORS_EXPORT std::string text_of(const caf::error& x);

/// Returns the text of an exception, or a note that the exception is no `std::exception`.
ACTORS_EXPORT std::string text_of(const std::exception_ptr& x);

/// Returns the failure in an error from `make_error`. Errors of other categories become
/// `ec::handler_failed` with CAF's rendering as text.
ACTORS_EXPORT failure to_failure(const caf::error& x);

} // namespace actors
