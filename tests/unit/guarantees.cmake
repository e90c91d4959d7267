# What the delivery guarantees are kept with: plain values.
actors_add_suites(
  unit_guarantees
  LABEL
  unit
  LIBRARIES
  actors_amqp
  actors_values
  SOURCES
  delivery/delivery_queue.cpp
  delivery/delivery_window.cpp
  delivery/open_deliveries.cpp
  delivery/retry.cpp
  delivery/sequence_set.cpp
  delivery/stream_tracker.cpp
  delivery/unmatched_messages.cpp
  publishing/unsent_file.cpp)
