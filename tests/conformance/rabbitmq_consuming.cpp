#define CAF_SUITE rabbitmq.consuming

#include "conformance/rabbitmq_under_test.hpp"

#include "conformance/consuming.hpp"
