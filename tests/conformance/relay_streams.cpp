#define CAF_SUITE relay.streams

#include "conformance/relay_under_test.hpp"

#include "conformance/streams.hpp"
