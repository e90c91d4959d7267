#pragma once

#if __cplusplus < 202002L
#error "libactors needs C++20: compile with -std=c++20"
#endif

/// Exports a symbol from the shared library, for users and for `actors::relay`. All other symbols
/// are hidden.
#define ACTORS_EXPORT __attribute__((visibility("default")))
