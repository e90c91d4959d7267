# The actors, each against scripted neighbours, then all three on the in-process
# broker, on CAF's deterministic scheduler.
actors_add_suites(
  unit_actors
  LABEL unit
  LIBRARIES actors::actors
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/connection.cpp ${CMAKE_CURRENT_LIST_DIR}/supervisor.cpp
          ${CMAKE_CURRENT_LIST_DIR}/supervisor_publishing.cpp supervisor_hanging.cpp
          ${CMAKE_CURRENT_LIST_DIR}/supervisor_log.cpp
          ${CMAKE_CURRENT_LIST_DIR}/dispatcher.cpp
          ${CMAKE_CURRENT_LIST_DIR}/dispatcher_deliveries.cpp
          ${CMAKE_CURRENT_LIST_DIR}/dispatcher_failures.cpp
          ${CMAKE_CURRENT_LIST_DIR}/dispatcher_windows.cpp ${CMAKE_CURRENT_LIST_DIR}/event_center.cpp
          ${CMAKE_CURRENT_LIST_DIR}/feed.cpp
          ${CMAKE_CURRENT_LIST_DIR}/guarantees.cpp ${CMAKE_CURRENT_LIST_DIR}/hand_over.cpp
          ${CMAKE_CURRENT_LIST_DIR}/instances.cpp
          ${CMAKE_CURRENT_LIST_DIR}/shutdown.cpp ${CMAKE_CURRENT_LIST_DIR}/woken_actors.cpp
          ${CMAKE_CURRENT_LIST_DIR}/work_sharing.cpp)
# The scheduler's queue and a link's receivers are private to the library.
target_include_directories(unit_actors PRIVATE ${PROJECT_SOURCE_DIR}/libactors/src)

# A relay and its hosts on CAF's deterministic network.
actors_add_suites(
  unit_relay
  LABEL unit
  LIBRARIES actors::actors
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/relay_port.cpp)
target_include_directories(unit_relay PRIVATE ${PROJECT_SOURCE_DIR}/libactors/src)
