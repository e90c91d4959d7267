#define CAF_SUITE rabbitmq.refusals

#include "conformance/rabbitmq_under_test.hpp"

#include "conformance/refusals.hpp"
