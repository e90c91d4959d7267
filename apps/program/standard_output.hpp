#pragma once

#include <string_view>

#include "program/stop_signal.hpp"

namespace program {

/// Writes all of it to standard output, waiting for a slow reader unless the
/// program is to stop. False: the reader is gone, or will not be waited for.
bool write_out(std::string_view text, const stop_signal& stop);

bool output_is_terminal();

bool errors_go_to_terminal();

/// The number of rows of the terminal behind standard output.
std::size_t terminal_rows();

} // namespace program
