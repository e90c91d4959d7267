#define CAF_SUITE memory.queues

#include "conformance/memory_under_test.hpp"

#include "conformance/queues.hpp"
