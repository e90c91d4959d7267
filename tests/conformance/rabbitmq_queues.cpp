#define CAF_SUITE rabbitmq.queues

#include "conformance/rabbitmq_under_test.hpp"

#include "conformance/queues.hpp"
