#pragma once

#include <cstddef>
#include <string_view>
#include <system_error>

#include "program/stop_signal.hpp"

namespace program {

/// Writes all of it to standard output, waiting for a slow reader unless the
/// program is to stop. Nothing if all is written, `std::errc::broken_pipe` when the
/// reader is gone, `std::errc::operation_canceled` when it will not be waited for, else
/// why it cannot be written.
std::error_code write_out(std::string_view text, const stop_signal& stop);

/// Whether a reader that wants no more is all that there was, as `head` is.
bool is_failure(const std::error_code& x);

/// Writes what was printed and is still in memory; says so in the app's name when it
/// cannot be. Gives back the exit code that is right then, else `code`.
int flush_out(std::string_view app, int code);

bool output_is_terminal();

bool errors_go_to_terminal();

/// The number of rows of the terminal behind standard output.
std::size_t terminal_rows();

/// The number of its columns.
std::size_t terminal_columns();

} // namespace program
