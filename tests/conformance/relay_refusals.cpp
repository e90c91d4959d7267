#define CAF_SUITE relay.refusals

#include "conformance/relay_under_test.hpp"

#include "conformance/refusals.hpp"
