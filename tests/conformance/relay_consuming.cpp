#define CAF_SUITE relay.consuming

#include "conformance/relay_under_test.hpp"

#include "conformance/consuming.hpp"
