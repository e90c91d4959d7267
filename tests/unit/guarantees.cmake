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
  retry.cpp
  sequence_set.cpp
  stream_tracker.cpp
  unsent_file.cpp)
