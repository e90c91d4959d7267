#define CAF_SUITE memory.dead_letters

#include "conformance/memory_under_test.hpp"

#include "conformance/dead_letters.hpp"
