#define CAF_SUITE rabbitmq.publishing

#include "conformance/rabbitmq_under_test.hpp"

#include "conformance/publishing.hpp"
