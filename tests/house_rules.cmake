# The house rules, and that they find what they forbid. Headers without a .cc of their own are compiled
# alone here (target lonely_headers); the others are, by rule, the first include of theirs.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
foreach(argument "" --self-test)
  string(REPLACE "--self-test" "_self_test" suffix "${argument}")
  add_test(NAME house_rules${suffix}
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/house_rules_test.py ${argument})
endforeach()
# What the build includes is what ./dev installs for a build.
add_test(NAME packages COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/packages_test.py ${CMAKE_SOURCE_DIR}/build)
set_tests_properties(packages PROPERTIES SKIP_RETURN_CODE 77)

file(GLOB_RECURSE headers CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR}
  ${CMAKE_SOURCE_DIR}/base/*.h ${CMAKE_SOURCE_DIR}/flow/*.h ${CMAKE_SOURCE_DIR}/discovery/*.h ${CMAKE_SOURCE_DIR}/sinks/*.h ${CMAKE_SOURCE_DIR}/agent/*.h
  ${CMAKE_SOURCE_DIR}/local/*.h ${CMAKE_SOURCE_DIR}/center/*.h ${CMAKE_SOURCE_DIR}/cli/*.h)
set(lonely)
foreach(header ${headers})
  string(REGEX REPLACE "\\.h$" "" stem ${header})
  if(NOT EXISTS ${CMAKE_SOURCE_DIR}/${stem}.cc)
    set(alone ${CMAKE_CURRENT_BINARY_DIR}/lonely/${stem}.cc)
    file(CONFIGURE OUTPUT ${alone} CONTENT "#include \"${header}\"\n#include \"${header}\"\n" @ONLY)
    list(APPEND lonely ${alone})
  endif()
endforeach()
if(lonely)
  add_library(lonely_headers OBJECT ${lonely})
  target_link_libraries(lonely_headers PRIVATE tailrace_flags tailrace_proto)
  target_compile_options(lonely_headers PRIVATE -O0)
endif()
