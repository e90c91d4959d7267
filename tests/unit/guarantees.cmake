# What the delivery guarantees are kept with: plain values.
actors_add_suites(
  unit_guarantees
  LABEL
  unit
  LIBRARIES
  actors_amqp
  actors_values
  SOURCES
  delivery_queue.cpp
  delivery_window.cpp
  open_deliveries.cpp
  retry.cpp
  sequence_set.cpp
  stream_tracker.cpp
  unmatched_messages.cpp
  unsent_file.cpp)
