# The documents name only what is there: files, commands, options, hash values.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
add_test(NAME docs_self_test COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/docs_test.py --self-test)
if(TARGET tailrace)
  add_test(NAME docs COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/docs_test.py
    --tailrace $<TARGET_FILE:tailrace>)
endif()
