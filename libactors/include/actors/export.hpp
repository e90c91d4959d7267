#pragma once

/// Marks what a shared library shows: to its users, and to `actors::relay`. All else is hidden.
#define ACTORS_EXPORT __attribute__((visibility("default")))
