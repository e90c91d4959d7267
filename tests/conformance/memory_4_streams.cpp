#define CAF_SUITE memory_4.streams

#include "conformance/memory_4_under_test.hpp"

#include "conformance/streams.hpp"
