#define CAF_SUITE rabbitmq.quorum_queues

#include "conformance/rabbitmq_under_test.hpp"

#include "conformance/quorum_queues.hpp"
