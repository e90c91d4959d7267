#define CAF_SUITE rabbitmq.routing

#include "conformance/rabbitmq_under_test.hpp"

#include "conformance/routing.hpp"
