#define CAF_SUITE memory_4.queues

#include "conformance/memory_4_under_test.hpp"

#include "conformance/queues.hpp"
