# The enumeration of the spool's crash states: millions of small steps, so it is built optimised and
# without sanitizers; test_local runs a part of it with them.
set(crash_sources)
foreach(source base/hash.cc base/random.cc base/result.cc base/file.cc flow/batch.cc flow/stream.cc)
  list(APPEND crash_sources ${CMAKE_SOURCE_DIR}/${source})
endforeach()
file(GLOB spool_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/local/spool*.cc)
list(FILTER spool_sources EXCLUDE REGEX "/spool_(opening|view|holes|aside)\\.cc$")  # they speak of a real disk
add_executable(spool_crash ${CMAKE_CURRENT_SOURCE_DIR}/local/crash/main.cc
  ${CMAKE_CURRENT_SOURCE_DIR}/local/spool_crash.cc ${CMAKE_CURRENT_SOURCE_DIR}/local/spool_world.cc
  ${CMAKE_CURRENT_SOURCE_DIR}/local/virtual_disk.cc ${crash_sources} ${spool_sources})
target_include_directories(spool_crash PRIVATE ${CMAKE_SOURCE_DIR})
target_compile_options(spool_crash PRIVATE -O2 -g1 -Wall -Wextra -Werror -Wconversion)
add_test(NAME spool_crash COMMAND spool_crash 40000)
