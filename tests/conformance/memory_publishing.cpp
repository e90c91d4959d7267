#define CAF_SUITE memory.publishing

#include "conformance/memory_under_test.hpp"

#include "conformance/publishing.hpp"
