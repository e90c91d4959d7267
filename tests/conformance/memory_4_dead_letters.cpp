#define CAF_SUITE memory_4.dead_letters

#include "conformance/memory_4_under_test.hpp"

#include "conformance/dead_letters.hpp"
