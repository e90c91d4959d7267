#define CAF_SUITE rabbitmq.topology

#include "conformance/rabbitmq_under_test.hpp"

#include "conformance/topology.hpp"
