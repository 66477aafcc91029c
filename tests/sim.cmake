# The simulation, docs/protocol.md: fresh seeds each time, and the deliberate mistakes that it has to notice. Its program
# is built optimised in build/sim (./dev test does that); here it is only started.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
set(sim ${CMAKE_SOURCE_DIR}/build/sim/bin/tailrace_sim)
add_test(NAME sim.seeds COMMAND ${sim} --seeds 3000 --jobs 1 --points)
add_test(NAME sim.repeats COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/sim/repeats_test.py ${sim})
add_test(NAME sim.mutants COMMAND ${sim} --mutants --medians ${CMAKE_CURRENT_SOURCE_DIR}/sim/medians.txt)
add_test(NAME long.sim CONFIGURATIONS Long COMMAND ${sim} --seeds 100000)
add_test(NAME long.sim_mutants CONFIGURATIONS Long COMMAND ${sim} --mutants)
set_tests_properties(sim.seeds sim.repeats sim.mutants PROPERTIES TIMEOUT 900 LABELS sim)
set_tests_properties(long.sim long.sim_mutants PROPERTIES TIMEOUT 14400 LABELS "sim;long")
