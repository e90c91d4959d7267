#define CAF_SUITE rabbitmq.dead_letters

#include "conformance/rabbitmq_under_test.hpp"

#include "conformance/dead_letters.hpp"
