# The store's records against the published files, read by their page in docs/formats/ alone.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
if(TARGET tailrace)
  add_test(NAME audit COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/audit/audit_test.py
    --tailrace $<TARGET_FILE:tailrace>)
  set_tests_properties(audit PROPERTIES TIMEOUT 180 LABELS chaos ENVIRONMENT "PYTHONDONTWRITEBYTECODE=1")
endif()
