#define CAF_SUITE memory.consuming

#include "conformance/memory_under_test.hpp"

#include "conformance/consuming.hpp"
