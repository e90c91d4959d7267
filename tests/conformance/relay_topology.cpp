#define CAF_SUITE relay.topology

#include "conformance/relay_under_test.hpp"

#include "conformance/topology.hpp"
