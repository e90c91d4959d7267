#define CAF_SUITE memory.streams

#include "conformance/memory_under_test.hpp"

#include "conformance/streams.hpp"
