#define CAF_SUITE memory.refusals

#include "conformance/memory_under_test.hpp"

#include "conformance/refusals.hpp"
