# The plain values within the apps, each compiled into the test by itself.
if(TARGET program)
  find_package(fmt REQUIRED)
  set(apps ${PROJECT_SOURCE_DIR}/apps)
  actors_add_suites(
    unit_apps
    LABEL
    unit
    LIBRARIES
    program
    fmt::fmt
    SOURCES
    demo/paper_account.cpp
    ticker/price_table.cpp
    ticker/subscriptions.cpp)
  target_sources(unit_apps PRIVATE ${apps}/demo/paper_account.cpp ${apps}/ticker/price_table.cpp
                                   ${apps}/ticker/subscriptions.cpp)
  target_include_directories(unit_apps PRIVATE ${apps})
endif()
