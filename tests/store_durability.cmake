# The order of the directory store's system calls, and that the test would miss each of them.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
if(TARGET test_sinks)
  foreach(argument "" --self-test)
    string(REPLACE "--self-test" "_self_test" suffix "${argument}")
    add_test(NAME store_durability${suffix}
      COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/store_durability_test.py $<TARGET_FILE:test_sinks> ${argument})
    set_tests_properties(store_durability${suffix} PROPERTIES SKIP_RETURN_CODE 77)
  endforeach()
endif()
