#define CAF_SUITE relay.publishing

#include "conformance/relay_under_test.hpp"

#include "conformance/publishing.hpp"
