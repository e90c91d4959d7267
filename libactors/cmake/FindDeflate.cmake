# Debian ships no CMake config for libdeflate.
#
#   find_package(Deflate 1.14 REQUIRED)
#
# gives the target Deflate::Deflate.
find_path(Deflate_INCLUDE_DIR libdeflate.h)
find_library(Deflate_LIBRARY deflate)
if(Deflate_INCLUDE_DIR)
  file(STRINGS ${Deflate_INCLUDE_DIR}/libdeflate.h Deflate_VERSION
       REGEX "#define LIBDEFLATE_VERSION_STRING")
  string(REGEX REPLACE ".*\"(.*)\"" "\\1" Deflate_VERSION "${Deflate_VERSION}")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(
  Deflate
  REQUIRED_VARS Deflate_LIBRARY Deflate_INCLUDE_DIR
  VERSION_VAR Deflate_VERSION)

if(Deflate_FOUND AND NOT TARGET Deflate::Deflate)
  add_library(Deflate::Deflate UNKNOWN IMPORTED)
  set_target_properties(
    Deflate::Deflate PROPERTIES IMPORTED_LOCATION ${Deflate_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES
                                                                     ${Deflate_INCLUDE_DIR})
endif()
mark_as_advanced(Deflate_INCLUDE_DIR Deflate_LIBRARY)
