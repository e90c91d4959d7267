#define CAF_SUITE relay.dead_letters

#include "conformance/relay_under_test.hpp"

#include "conformance/dead_letters.hpp"
