# Events and their wire format, and what an app is configured with. The log is
# compiled in by itself: the rest of its layer is made of actors.
find_package(spdlog REQUIRED)

actors_add_suites(
  unit_wire
  LABEL
  unit
  LIBRARIES
  actors_amqp
  actors_values
  spdlog::spdlog
  SOURCES
  settings/config.cpp
  wire/event_type.cpp
  wire/json.cpp
  runtime/logging.cpp
  wire/market.cpp
  wire/payload.cpp
  runtime/repeated_lines.cpp
  settings/subscription.cpp)
target_sources(unit_wire PRIVATE ${PROJECT_SOURCE_DIR}/libactors/src/runtime/logging.cpp)
target_compile_definitions(unit_wire PRIVATE ACTORS_CONFIG_DIR="${PROJECT_SOURCE_DIR}/config")
