#define CAF_SUITE relay.queues

#include "conformance/relay_under_test.hpp"

#include "conformance/queues.hpp"
