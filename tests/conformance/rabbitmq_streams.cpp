#define CAF_SUITE rabbitmq.streams

#include "conformance/rabbitmq_under_test.hpp"

#include "conformance/streams.hpp"
