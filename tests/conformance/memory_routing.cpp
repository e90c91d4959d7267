#define CAF_SUITE memory.routing

#include "conformance/memory_under_test.hpp"

#include "conformance/routing.hpp"
