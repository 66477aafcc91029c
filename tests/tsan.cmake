# ThreadSanitizer over what uses threads: the workers, and the road with all roles. Its programs are built in build/tsan
# (./dev test does that); here they are only started.
if(NOT TAILRACE_THREAD_SANITIZER)
  foreach(program base road)
    add_test(NAME tsan.${program}
      COMMAND ${CMAKE_SOURCE_DIR}/build/tsan/bin/test_${program} --log_level=error --report_level=short)
    set_tests_properties(tsan.${program} PROPERTIES TIMEOUT 300 LABELS tsan
      ENVIRONMENT "TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1")
  endforeach()
endif()
