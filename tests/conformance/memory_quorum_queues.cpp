#define CAF_SUITE memory.quorum_queues

#include "conformance/memory_under_test.hpp"

#include "conformance/quorum_queues.hpp"
