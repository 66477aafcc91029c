# Real processes, kill -9, full disks; tests/chaos/. They run build/bin/tailrace, the optimised program, or
# $TAILRACE_BIN. Waiting takes most of their time, so they run beside each other; together below 8 minutes with -j2.
find_package(Python3 REQUIRED COMPONENTS Interpreter)

# chaos(NAME seconds script arguments...): a run; exit 77 is "could not be tried here".
function(chaos name seconds script)
  add_test(NAME chaos.${name} COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/chaos/${script} ${ARGN})
  set_tests_properties(chaos.${name} PROPERTIES TIMEOUT ${seconds} SKIP_RETURN_CODE 77 LABELS chaos
    ENVIRONMENT "PYTHONDONTWRITEBYTECODE=1;PYTHONUNBUFFERED=1")
endfunction()

chaos(kill_gzip 420 kill_run.py --kills 60 --codec gzip --require-strace)
chaos(kill_zstd 240 kill_run.py --kills 20 --codec zstd --require-strace)
chaos(daemons 300 daemons_run.py --kills 60 --require-strace)
chaos(daemons_hosts 300 daemons_run.py --kills 30 --hosts 3 --require-strace)
chaos(daemons_centers 300 daemons_run.py --kills 25 --hosts 2 --centers 3 --require-strace)
chaos(centers_walk 420 centers.py walk)
chaos(centers_drain 240 centers.py drain)
chaos(centers_split 420 centers.py split)
chaos(centers_others 360 centers.py T55)
chaos(daemons_traps 300 daemons_traps.py)
chaos(spools 480 spools.py lost back)
chaos(spools_others 240 spools.py clone run)
chaos(copytruncate 120 copytruncate.py)
chaos(traps 240 traps.py T01 T05 T08 T12 T57 second-start impatient)
chaos(first_start 300 traps.py first-start)
chaos(full_disk 120 full_disk.py)
chaos(full_disk_output 120 full_disk.py --holds output)
chaos(full_disk_state 120 full_disk.py --holds state)
chaos(full_disk_daemons_output 180 full_disk.py --daemons --holds output)
chaos(full_disk_daemons_state 180 full_disk.py --daemons --holds state)
chaos(two_sinks 240 two_sinks.py)
chaos(judge 60 judge_test.py)
