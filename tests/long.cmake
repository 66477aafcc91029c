# The long forms, which only `./dev test --long` (ctest -C Long) runs: fresh seeds each time, printed.
foreach(codec gzip zstd none)
  add_test(NAME long.kill_${codec} CONFIGURATIONS Long COMMAND ${Python3_EXECUTABLE}
    ${CMAKE_CURRENT_SOURCE_DIR}/chaos/kill_run.py --kills 600 --seed 0 --codec ${codec} --require-strace)
  set_tests_properties(long.kill_${codec} PROPERTIES TIMEOUT 7200 SKIP_RETURN_CODE 77 LABELS "chaos;long"
    ENVIRONMENT "PYTHONDONTWRITEBYTECODE=1;PYTHONUNBUFFERED=1")
endforeach()
foreach(name all bounces away)
  add_test(NAME long.kafka_${name} CONFIGURATIONS Long COMMAND ${Python3_EXECUTABLE}
    ${CMAKE_CURRENT_SOURCE_DIR}/chaos/kafka.py ${name} --long)
  set_tests_properties(long.kafka_${name} PROPERTIES TIMEOUT 7200 SKIP_RETURN_CODE 77 LABELS "chaos;long"
    ENVIRONMENT "PYTHONDONTWRITEBYTECODE=1;PYTHONUNBUFFERED=1")
endforeach()
add_test(NAME long.centers_tables CONFIGURATIONS Long
  COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/chaos/centers.py tables)
set_tests_properties(long.centers_tables PROPERTIES TIMEOUT 1800 LABELS "chaos;long"
  ENVIRONMENT "PYTHONDONTWRITEBYTECODE=1;PYTHONUNBUFFERED=1")
add_test(NAME long.spool_crash CONFIGURATIONS Long COMMAND spool_crash 2000000)
set_tests_properties(long.spool_crash PROPERTIES TIMEOUT 7200 LABELS long)

# 371 MiB are fetched for it.
add_test(NAME long.spark CONFIGURATIONS Long
  COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/neighbours/spark_test.py)
set_tests_properties(long.spark PROPERTIES TIMEOUT 1800 SKIP_RETURN_CODE 77 LABELS "neighbours;long"
  ENVIRONMENT "PYTHONDONTWRITEBYTECODE=1;PYTHONUNBUFFERED=1;TAILRACE_BIN=$<TARGET_FILE:tailrace>")
add_test(NAME long.hdfs_ha_kerberos CONFIGURATIONS Long
  COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/neighbours/hdfs_ha_kerberos_test.py)
set_tests_properties(long.hdfs_ha_kerberos PROPERTIES TIMEOUT 600 SKIP_RETURN_CODE 77 LABELS "neighbours;long"
  ENVIRONMENT "PYTHONDONTWRITEBYTECODE=1;PYTHONUNBUFFERED=1;TAILRACE_BIN=$<TARGET_FILE:tailrace>")
