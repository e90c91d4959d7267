# The actors, each against scripted neighbours, then all three on the in-process
# broker, on CAF's deterministic scheduler.
actors_add_suites(
  unit_actors
  LABEL unit
  LIBRARIES actors::actors
  SOURCES center/connection.cpp center/supervisor.cpp
          center/supervisor_publishing.cpp center/supervisor_set_aside.cpp
          center/supervisor_answers.cpp center/supervisor_unsent.cpp
          center/supervisor_hanging.cpp
          center/supervisor_log.cpp
          center/dispatcher.cpp
          center/dispatcher_deliveries.cpp
          center/dispatcher_failures.cpp
          center/dispatcher_windows.cpp center/event_center.cpp
          dispatch/dispatching.cpp
          settings/feed.cpp
          guarantees.cpp runtime/run_inline.cpp
          instances.cpp
          shutdown.cpp runtime/link_run_queue.cpp
          monitoring/status_text.cpp runtime/stop_signal.cpp
          runtime/system_config.cpp runtime/work_sharing.cpp)

# What users test their strategies with, as they use it.
actors_add_suites(
  unit_testing
  LABEL unit
  LIBRARIES actors::testing
  SOURCES testing/center_fixture.cpp)

# A relay and its hosts on CAF's deterministic network.
actors_add_suites(
  unit_relay
  LABEL unit
  LIBRARIES actors::relay CAF::io
  SOURCES relay/port.cpp)
