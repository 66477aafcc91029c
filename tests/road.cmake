# The whole program from outside: tests/road/*_test.py. The test build's own program, so that the sanitizers
# see it too; what is about bytes and minutes runs the optimised one ($TAILRACE_BIN, else build/bin/tailrace).
find_package(Python3 REQUIRED COMPONENTS Interpreter)

function(road_program name seconds)
  add_test(NAME road.${name}
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/road/${name}_test.py)
  set(environment "PYTHONDONTWRITEBYTECODE=1;PYTHONUNBUFFERED=1")
  if(NOT name MATCHES "rolls|daemons|centers|hostile|peer|limits|watch|config|spool")
    list(APPEND environment "TAILRACE_BIN=$<TARGET_FILE:tailrace>")
  endif()
  set_tests_properties(road.${name} PROPERTIES TIMEOUT ${seconds} SKIP_RETURN_CODE 77 LABELS road
    ENVIRONMENT "${environment}")
endfunction()

if(TARGET tailrace)
  road_program(cat 120)
  road_program(once 300)
  road_program(stop 300)
  road_program(rolls 300)
  road_program(daemons 300)
  road_program(centers 180)
  road_program(hostile 180)
  road_program(watch 180)
  road_program(config 180)
  road_program(spool 180)
  road_program(peer 120)
  road_program(limits 240)
  road_program(limits_peers 240)
  road_program(limits_slow 240)
  road_program(limits_worlds 240)
  road_program(limits_files 240)
  road_program(limits_store 240)
endif()
