#define CAF_SUITE memory_4.consuming

#include "conformance/memory_4_under_test.hpp"

#include "conformance/consuming.hpp"
