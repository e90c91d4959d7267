# What the actors decide with: plain values.
actors_add_suites(
  unit_decisions
  LABEL
  unit
  LIBRARIES
  actors_amqp
  actors_values
  SOURCES
  ack_window.cpp
  backoff.cpp
  handler_table.cpp
  ledger.cpp
  ledger_storm.cpp
  ledger_upkeep.cpp
  outbox.cpp)
