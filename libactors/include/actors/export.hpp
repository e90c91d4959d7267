#pragma once

/// Exports a symbol from the shared library, for users and for `actors::relay`. All other symbols
/// are hidden.
#define ACTORS_EXPORT __attribute__((visibility("default")))
