#define CAF_SUITE memory.topology

#include "conformance/memory_under_test.hpp"

#include "conformance/topology.hpp"
