#define CAF_SUITE memory_4.quorum_queues

#include "conformance/memory_4_under_test.hpp"

#include "conformance/quorum_queues.hpp"
