#define CAF_SUITE relay.quorum_queues

#include "conformance/relay_under_test.hpp"

#include "conformance/quorum_queues.hpp"
