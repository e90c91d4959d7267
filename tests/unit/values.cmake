# Suites of plain values: no actor, no broker.

actors_add_suites(unit_topic LABEL unit LIBRARIES actors_amqp SOURCES amqp/topic.cpp)
