#pragma once

#include "work.hpp"

/// What the bare loop is measured at.
namespace bare {

/// Declares and binds a queue, as a subscription would.
void declare(const bench::work& x);

/// Deletes a queue with all that is in it.
void drop(const bench::work& x);

/// Fills a queue with bodies, as fast as the broker takes them.
void fill(const bench::work& x);

/// Prints the JSON of the events that are published, a line each, for peers.
void texts(const bench::work& x);

/// Receives, inflates, parses, calls one function, acknowledges: in multiples,
/// or each where one may be in flight.
void receive(const bench::work& x);

/// Encodes and publishes, with the frames of many publications in one send.
void publish(const bench::work& x);

/// The same by `amqp_basic_publish`.
void publish_singly(const bench::work& x);

/// Encodes and publishes with a window of unconfirmed publications.
void confirms(const bench::work& x);

/// From the moment that an event is due, to the function that gets it, by way
/// of the broker: one thread publishes, one receives.
void latency(const bench::work& x);

/// Declares, binds and consumes so many queues, all requests at once.
void subscriptions(const bench::work& x);

} // namespace bare
